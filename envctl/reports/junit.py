"""JUnit XML from test tools. It is not trusted: entities are refused, and the number and depth of elements are limited."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, iterparse

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from envctl.errors import DefinitionError, Problem
from envctl.reports.xml_text import XmlText

MOST_ELEMENTS, MOST_OF_CASE, DEEPEST, LONGEST = 1_000_000, 20_000, 100, 20_000
"""The maximum elements in a file and in one test, the maximum depth, and the characters that are kept of one failure."""
LONGEST_NAME, LONGEST_TEXT, LONGEST_TAG = 2000, 1_000_000, 1_000_000
"""The maximum characters of a name, the maximum characters of an element while it is read, and the maximum bytes of a tag."""
RED, FLAKY = ("failure", "error"), ("flakyFailure", "flakyError", "rerunFailure", "rerunError")
SKIPPED = ("skipped", "disabled", "ignored")
NOT_RUN = ("notrun", "disabled", "skipped", "suppressed")
"""The values of an attribute with which GoogleTest and CTest mark tests that did not run."""
EVIDENCE = "envctl"
"""The property of a test with which envctl's pytest plugin stores the state of the environment at a failure."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test.

    Attributes:
        outcome: passed, failed or skipped.
        seconds: the duration.
        ended: the time of its end in UTC; None if the suite has no start time.
        retried: whether the test failed at first, and was run again in the same run.
        evidence: the state of the environment at that moment, as the test tool noted it.
    """

    id: str
    outcome: str
    seconds: float
    ended: datetime | None = None
    message: str = ""
    text: str = ""
    file: str = ""
    line: int = 0
    retried: bool = False
    evidence: str = ""


class NotJUnit(Exception):
    """The file is well-formed XML, but its root is not that of JUnit results."""


def cases_of(stream: BinaryIO, path: Path) -> Iterator[Case]:
    """Yield the tests of one file, in its order.

    Raises:
        DefinitionError: the file is not XML, or exceeds the limits of a test report; it names the line.
        NotJUnit: the file has another root.
    """
    try:
        yield from _cases(stream, path)
    except ParseError as error:
        raise _wrong(path, error.position[0], f"not valid XML: {error}") from None
    except DefusedXmlException:
        raise _wrong(path, 1, "entities and document types of its own are not read") from None
    except (LookupError, ValueError) as error:  # an unknown encoding
        raise _wrong(path, 1, f"this cannot be read: {error}") from None


def _wrong(path: Path, line: int, why: str) -> DefinitionError:
    return DefinitionError([Problem(path, line, "", why, "a report of tests is expected: JUnit XML")])


def _cases(stream: BinaryIO, path: Path) -> Iterator[Case]:
    open_: list[Element] = []
    begun: list[datetime | None] = []
    count = first_of_case = 0
    parser = XMLParser(target=_Short(), encoding="utf-8", forbid_dtd=True)
    for event, element in iterparse(cast(BinaryIO, _Fed(XmlText(stream), parser)), ("start", "end"), parser):
        tag = _local(element)
        if event == "start":
            count += 1
            if not any(_local(parent) == "testcase" for parent in open_):
                first_of_case = count
            if not open_ and tag not in ("testsuites", "testsuite"):
                raise NotJUnit(tag)
            if count > MOST_ELEMENTS or count - first_of_case > MOST_OF_CASE or len(open_) >= DEEPEST:
                limits = f"{MOST_ELEMENTS:,} elements, {MOST_OF_CASE:,} in one test, or {DEEPEST} inside each other"
                raise _wrong(path, parser.parser.CurrentLineNumber, f"there are more than {limits}")
            open_.append(element)
            begun.append(_time(element.get("timestamp")) or (begun[-1] if begun else None))
            continue
        open_.pop()
        begun.pop()
        if tag == "testcase":
            case = _case(element, begun[-1])
            begun[-1] = case.ended
            yield case
        elif tag in RED and open_ and _local(open_[-1]) == "testsuite":  # a suite that could not even be built has no tests
            yield _case_of_suite(open_[-1], element)
        if not any(_local(parent) == "testcase" for parent in open_):
            element.clear()  # a file may be large, so elements that have been read are removed
            if open_:
                open_[-1].remove(element)


class _Short(TreeBuilder):
    """A tree builder that cuts long texts, since the output of one test may fill a file."""

    _held = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        self._held = 0
        return super().start(tag, attrs)

    def data(self, data: Any, /) -> Any:
        self._held += len(data)
        return super().data(data) if self._held <= LONGEST_TEXT else None


class _Fed:
    """A stream that limits the size of a tag, because the parser scans an incomplete tag again for each piece of it."""

    def __init__(self, stream: XmlText, parser: Any) -> None:
        self._stream, self._parser, self._fed = stream, parser.parser, 0

    def read(self, size: int) -> bytes:
        if self._fed - self._parser.CurrentByteIndex > LONGEST_TAG:
            raise ValueError(f"a tag or a comment has more than {LONGEST_TAG:,} bytes")
        piece = self._stream.read(size)
        self._fed += len(piece)
        return piece


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _case(element: Element, begun: datetime | None) -> Case:
    parts = [(_local(child), child) for child in element]
    red = next((child for tag, child in parts if tag in RED), None)
    skipped = any(tag in SKIPPED for tag, _ in parts) or element.get("status") in NOT_RUN or element.get("result") in NOT_RUN
    seconds = _seconds(element.get("time"))
    names = [element.get("classname") or "", element.get("name") or "?"]
    return Case(
        id="::".join(name[:LONGEST_NAME] for name in names if name),
        outcome="failed" if red is not None else "skipped" if skipped else "passed",
        seconds=seconds,
        ended=begun + timedelta(seconds=min(seconds, 1e8)) if begun else None,
        message=(red.get("message") or "")[:LONGEST] if red is not None else "",
        text="".join(red.itertext())[-LONGEST:].strip() if red is not None else "",
        file=(element.get("file") or "")[:LONGEST_NAME],
        line=_line(element.get("line")),
        retried=any(tag in FLAKY for tag, _ in parts),
        evidence=_property(element, EVIDENCE)[:LONGEST],
    )


def _case_of_suite(suite: Element, red: Element) -> Case:
    text = "".join(red.itertext())[-LONGEST:].strip()
    return Case((suite.get("name") or "?")[:LONGEST_NAME], "failed", 0.0, message=(red.get("message") or "")[:LONGEST], text=text)


def _property(element: Element, name: str) -> str:
    found = (each for each in element.iter() if _local(each) == "property" and each.get("name") == name)
    return "\n".join(each.get("value") or each.text or "" for each in found)


def _line(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else 0


def _seconds(text: str | None) -> float:
    """Return the seconds; Java writes `1,234.5`, and some locales write `0,5`."""
    plain = (text or "").strip()
    plain = plain.replace(",", "") if "." in plain else plain.replace(",", ".")
    try:
        seconds = float(plain)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _time(text: str | None) -> datetime | None:
    """Return the time in UTC; None if there is none. A time without a zone is in the zone of this machine."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
