"""Reports of test tools, and of strangers."""

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
        "", "no xml", "<testsuite>", "<testsuite>\0</testsuite>", BOMB, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>',
        '<?xml version="1.0" encoding="never"?><testsuite/>', b"\xff\xfe<", "<testsuite>" * 200,
    ],
)  # fmt: skip
def test_what_is_no_report_is_said_with_its_line(text: str | bytes) -> None:
    with pytest.raises(DefinitionError) as error:
        read(text)
    assert str(error.value.problems[0]).startswith("a.xml:")


def test_more_than_tests_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_ELEMENTS", 10)
    with pytest.raises(DefinitionError, match="more than 10 elements"):
        read(f"<testsuite>{'<testcase/>' * 20}</testsuite>")


def test_what_is_about_something_else() -> None:
    with pytest.raises(NotJUnit, match="coverage"):
        read("<coverage><testcase/></coverage>")


def test_what_was_read_is_forgotten() -> None:
    """A suite holds nothing of the tests before: memory does not grow with the file."""
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
    assert peak < 150_000_000  # the text itself, twice
