"""JUnit XML as test tools write it, read as the text of a stranger: no entities, no more elements and depth than results have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from envctl.errors import DefinitionError, Problem

MOST_ELEMENTS, DEEPEST, LONGEST = 1_000_000, 100, 20_000
"""Of a file; LONGEST is the characters kept of one failure."""
RED, FLAKY = ("failure", "error"), ("flakyFailure", "flakyError", "rerunFailure", "rerunError")
SKIPPED = ("skipped", "disabled", "ignored")
EVIDENCE = "envctl"
"""The property of a test by which our pytest plugin says how the environment was when it failed."""


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        outcome: passed, failed or skipped.
        seconds: how long it took.
        ended: when, in UTC; None where its suite does not say when it began.
        retried: it failed at first, and was run again in the same run.
        evidence: how the environment was at that moment, as the test's own tool knows it.
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
    """Well-formed, and about something else."""


def cases_of(stream: BinaryIO, path: Path) -> Iterator[Case]:
    """The tests of one file, in its order.

    Raises:
        DefinitionError: it is no XML, or more than a report of tests would be; with its line.
        NotJUnit: its root is another.
    """
    try:
        yield from _cases(stream, path)
    except ParseError as error:
        raise _wrong(path, error.position[0], f"this is no XML: {error}") from None
    except DefusedXmlException:
        raise _wrong(path, 1, "entities and document types of its own are not read") from None
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        raise _wrong(path, 1, f"this cannot be read: {error}") from None


def _wrong(path: Path, line: int, why: str) -> DefinitionError:
    return DefinitionError([Problem(path, line, "", why, "a report of tests is expected: JUnit XML")])


def _cases(stream: BinaryIO, path: Path) -> Iterator[Case]:
    open_: list[Element] = []
    begun: list[datetime | None] = []
    count = 0
    for event, element in iterparse(stream, ("start", "end"), forbid_dtd=True):
        tag = _local(element)
        if event == "start":
            count += 1
            if not open_ and tag not in ("testsuites", "testsuite"):
                raise NotJUnit(tag)
            if count > MOST_ELEMENTS or len(open_) >= DEEPEST:
                raise _wrong(path, 1, f"more than {MOST_ELEMENTS} elements, or {DEEPEST} inside each other")
            open_.append(element)
            begun.append(_time(element.get("timestamp")) or (begun[-1] if begun else None))
            continue
        open_.pop()
        begun.pop()
        if tag == "testcase":
            case = _case(element, begun[-1])
            begun[-1] = case.ended
            yield case
        if not any(_local(parent) == "testcase" for parent in open_):
            element.clear()  # nothing that was read is kept: a file may be large
            if open_:
                open_[-1].remove(element)


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _case(element: Element, begun: datetime | None) -> Case:
    parts = [(_local(child), child) for child in element]
    red = next((child for tag, child in parts if tag in RED), None)
    skipped = any(tag in SKIPPED for tag, _ in parts)
    seconds = _seconds(element.get("time"))
    names = [element.get("classname") or "", element.get("name") or "?"]
    return Case(
        id="::".join(filter(None, names)),
        outcome="failed" if red is not None else "skipped" if skipped else "passed",
        seconds=seconds,
        ended=begun + timedelta(seconds=min(seconds, 1e8)) if begun else None,
        message=(red.get("message") or "")[:LONGEST] if red is not None else "",
        text="".join(red.itertext())[-LONGEST:].strip() if red is not None else "",
        file=element.get("file") or "",
        line=_line(element.get("line")),
        retried=any(tag in FLAKY for tag, _ in parts),
        evidence=_property(element, EVIDENCE)[:LONGEST],
    )


def _property(element: Element, name: str) -> str:
    found = (each for each in element.iter() if _local(each) == "property" and each.get("name") == name)
    return "\n".join(each.get("value") or each.text or "" for each in found)


def _line(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else 0


def _seconds(text: str | None) -> float:
    """`1,234.5` is of Java, `0,5` of a machine that writes so."""
    plain = (text or "").strip()
    plain = plain.replace(",", "") if "." in plain else plain.replace(",", ".")
    try:
        seconds = float(plain)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _time(text: str | None) -> datetime | None:
    """A time without a zone is this machine's."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None
