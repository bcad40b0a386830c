"""Tests of reading JUnit reports, also untrusted ones."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from envctl.errors import DefinitionError
from envctl.reports import junit
from envctl.reports.junit import Case, NotJUnit, cases_of


def read(text: str | bytes) -> list[Case]:
    return list(cases_of(BytesIO(text.encode() if isinstance(text, str) else text), Path("a.xml")))


def test_outcomes_of_the_dialects() -> None:
    found = read("""<?xml version="1.0"?>
        <testsuites><testsuite name="outer" timestamp="2026-01-01T10:00:00+00:00"><testsuite name="inner">
          <testcase classname="t" name="green" time="1.5"/>
          <testcase classname="t" name="red" time="0,5" file="t.py" line="7">
            <failure message="no">why<![CDATA[ & how]]></failure></testcase>
          <testcase name="broken"><error message="on setup"/><failure message="and then"/></testcase>
          <testcase name="left"><skipped/></testcase>
          <testcase name="retried" time="1,000.5"><flakyFailure>once</flakyFailure></testcase>
          <testcase name="again"><failure/><rerunFailure/></testcase>
          <testcase name="odd" time="NaN" line="x"><properties><property name="envctl" value="db is failed"/></properties></testcase>
        </testsuite></testsuite></testsuites>""")
    assert [(each.id, each.outcome, each.retried) for each in found] == [
        ("t::green", "passed", False), ("t::red", "failed", False), ("broken", "failed", False), ("left", "skipped", False),
        ("retried", "passed", True), ("again", "failed", True), ("odd", "passed", False),
    ]  # fmt: skip
    assert [each.seconds for each in found[:2]] == [1.5, 0.5]
    assert (found[4].seconds, found[6].seconds, found[6].line, found[6].evidence) == (1000.5, 0.0, 0, "db is failed")
    assert (found[1].message, found[1].text, found[1].file, found[1].line) == ("no", "why & how", "t.py", 7)


def test_a_test_ended_after_those_before_it() -> None:
    found = read('<testsuite timestamp="2026-01-01T10:00:00Z"><testcase name="a" time="2"/><testcase name="b" time="3"/></testsuite>')
    assert [each.ended for each in found] == [datetime(2026, 1, 1, 10, 0, second, tzinfo=UTC) for second in (2, 5)]
    assert read('<testsuite timestamp="yesterday"><testcase name="a"/></testsuite>')[0].ended is None
    assert read('<x:testsuite xmlns:x="urn:x"><x:testcase name="a"/></x:testsuite>')[0].id == "a"


BOMB = '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><testsuite><testcase name="&c;"/></testsuite>'


@pytest.mark.parametrize(
    "text",
    [
        "", "no xml", "<testsuite>", BOMB, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>',
        '<?xml version="1.0" encoding="never"?><testsuite/>',
        *(f'<?xml version="1.0" encoding="{name}"?><testsuite/>' for name in ("zlib_codec", "cp037", "utf-7", "punycode")),
        b"\xff\xfe<", "<testsuite>" * 200,
    ],
)  # fmt: skip
def test_what_is_no_report_is_said_with_its_line(text: str | bytes) -> None:
    with pytest.raises(DefinitionError) as error:
        read(text)
    assert str(error.value.problems[0]).startswith("a.xml:")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-15", "windows-1252", "shift_jis", "gbk", "koi8-r"]
)
@pytest.mark.parametrize("declared", [True, False])
def test_of_every_encoding(encoding: str, declared: bool) -> None:
    name = {"shift_jis": "テスト", "gbk": "测试", "koi8-r": "Тест"}.get(encoding, "größe")
    head = f'<?xml version="1.1" encoding="{encoding.removesuffix("-sig").upper()}"?>\r\n' if declared else ""
    text = f'{head}<testsuite><testcase name="{name}"/><testcase name="b"><failure>{name}</failure></testcase></testsuite>'
    found = read(text.encode(encoding))
    assert len(found) == 2
    if declared or encoding.startswith("utf"):
        assert (found[0].id, found[1].text) == (name, name)
    else:
        assert "\ufffd" in found[0].id, "nobody says what it is, and nothing else is lost"


def test_what_the_declaration_says_need_not_be_so() -> None:
    """.NET writes "utf-16" into a string of another encoding; concatenated files may begin with a blank line."""
    assert read('\n <?xml version="1.0"\n encoding="utf-16"?><testsuite><testcase name="ö"/></testsuite>')[0].id == "ö"
    with pytest.raises(DefinitionError, match=r"a\.xml:3: "):
        read('\n<?xml version="1.0"\n encoding="utf-16"?><testsuite>')


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"), ("&#27;[31mred&#x1B;[m", "red"), ("a\0b\x08c\uffff", "a\ufffdb\ufffdc\ufffd"),
        ("a&#0;b&#xD83D;c&#1114112;", "a\ufffdb\ufffdc\ufffd"), ("&#x1F600; &amp;#0; &#10;x", "\U0001f600 &#0; \nx"),
    ],
)  # fmt: skip
def test_characters_that_xml_does_not_have(written: str, text: str) -> None:
    """An XML parser would stop at each of these characters and lose the rest of the report."""
    for filling in range(0, 32, 3):  # also at the end of a piece that is read
        before = f"<testsuite><!--{'x' * (16 * 1024 - 60 - filling)}--><testcase name='a'><failure>"
        found = read(f"{before}{written}</failure></testcase><testcase name='b'/></testsuite>")
        assert [each.id for each in found] == ["a", "b"]
        assert found[0].text == text


def test_a_suite_that_is_red_without_a_test() -> None:
    """A suite that does not build reports an error without a test."""
    found = read('<testsuites><testsuite name="p"><error message="build failed">p.go:3</error></testsuite><testsuite/></testsuites>')
    assert [(each.id, each.outcome, each.message, each.text) for each in found] == [("p", "failed", "build failed", "p.go:3")]


@pytest.mark.parametrize("attribute", ['status="notrun"', 'status="run" result="skipped"', 'result="suppressed"', 'status="disabled"'])
def test_what_did_not_run_by_an_attribute(attribute: str) -> None:
    assert read(f'<testsuite><testcase name="a" {attribute}/></testsuite>')[0].outcome == "skipped"


def test_more_than_tests_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_ELEMENTS", 10)
    with pytest.raises(DefinitionError, match="more than 10 elements"):
        read(f"<testsuite>{'<testcase/>' * 20}</testsuite>")


def test_what_is_about_something_else() -> None:
    with pytest.raises(NotJUnit, match="coverage"):
        read("<coverage><testcase/></coverage>")


def test_what_was_read_is_forgotten() -> None:
    """A suite's element keeps no earlier tests, so memory does not grow with the file."""
    one = f"<testcase name='a'><system-out>{'x' * 10_000}</system-out></testcase>"
    stream = BytesIO(f"<testsuite>{one * 2000}</testsuite>".encode())
    tracemalloc.start()
    try:
        assert sum(1 for _ in cases_of(stream, Path("a.xml"))) == 2000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("before", "piece", "after"),
    [
        ('<testsuite name="', "a" * 60_000, ""),
        ("<testsuite><!-- ", "a -" * 20_000, ""),
        ("<testsuite><testcase>", "<property/>" * 1000, ""),
        ("<testsuite>", "<a>" * 1000, ""),
    ],
)
def test_what_no_tool_writes_is_not_read_to_its_end(before: str, piece: str, after: str) -> None:
    with pytest.raises(DefinitionError, match=r"more than 1,000,000 (bytes|elements)"):
        read(before + piece * 60 + after)


def test_of_long_output_and_names_the_beginning_is_kept() -> None:
    tracemalloc.start()
    found = read(f'<testsuite><testcase name="{"n" * 9000}"><system-out>{"<![CDATA[" + "o" * 999 + "]]>"}'
                 + "<![CDATA[" + "o" * 30_000_000 + "]]></system-out><failure>x</failure></testcase></testsuite>")  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(found[0].id), found[0].text) == (junit.LONGEST_NAME, "x")
    assert peak < 150_000_000  # about twice the size of the text
