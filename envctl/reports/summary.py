"""The merged results as a JSON document, and as Markdown for a summary on GitHub, on GitLab or in a wiki."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from envctl.errors.printable import harmless, without_colours
from envctl.reports.merge import Merged, Result

SLOWEST = 10
SLOW = 1.0
"""The minimum seconds of a test that is called slow."""
MOST = 50
"""The maximum number of tests that a list in Markdown shows, because GitHub limits a summary to a megabyte."""
MOST_EVIDENCE = 200
"""The maximum number of failures in a list that include the state of the environment."""
MOST_LINES, WIDEST = 60, 400


def document(merged: Merged) -> dict[str, Any]:
    """Return `{"counts", "seconds", "red", "environment", "flaky", "slow", "environments", "unreadable", "left_out"}`."""
    results = merged.results
    code = [result for result in results if result.red and not result.environments]
    broken = [result for result in results if result.environments]
    slow = sorted((result for result in results if result.case.seconds >= SLOW), key=lambda result: -result.case.seconds)[:SLOWEST]
    return {
        "counts": {
            "tests": len(results),
            "passed": sum(result.case.outcome == "passed" for result in results),
            "red": len(code),
            "environment": len(broken),
            "skipped": sum(result.case.outcome == "skipped" for result in results),
            "flaky": len(merged.flaky),
        },
        "seconds": round(sum(result.case.seconds for result in results), 3),
        "red": list(map(_failure, code, count())),
        "environment": list(map(_failure, broken, count())),
        "flaky": [{"test": name, "runs": merged.runs.get(name, ""), "in_this_run": name in merged.again} for name in merged.flaky],
        "slow": [{"test": result.name, "seconds": result.case.seconds} for result in slow],
        "environments": [
            {"folder": str(each.folder), "name": each.status.get("name"), "engine": each.status.get("engine"), "error": each.error}
            for each in merged.around
        ],
        "unreadable": [str(problem) for problem in merged.problems],
        "left_out": list(merged.left_out),
    }


def _failure(result: Result, number: int) -> dict[str, Any]:
    case = result.case
    return {
        "test": result.name, "file": case.file, "line": case.line, "seconds": case.seconds, "message": case.message, "text": case.text,
        "evidence": result.around.of(case) if number < MOST_EVIDENCE else [],
    }  # fmt: skip


def markdown(told: dict[str, Any]) -> str:
    """Return the document *told* as Markdown for people. Commands for the CI runner in the output of tests are made harmless."""
    return "\n".join(harmless(without_colours(line)) for line in _lines(told)) + "\n"


def _lines(told: dict[str, Any]) -> Iterator[str]:
    counts = told["counts"]
    said = [f"{counts[key]} {word}" for key, word in WORDS.items() if counts[key]]
    yield f"## Tests: {', '.join(said) or 'none'} in {told['seconds']:.1f} s"
    broken = [each for each in told["environments"] if each["error"]]
    yield from _section("The environment failed", [f"- {_code(each['name'] or each['folder'])}: {_code(each['error'])}" for each in broken])
    yield from _failures("Red", told["red"])
    yield from _failures("Failed because of the environment, not the code", told["environment"])
    yield from _section("Flaky", [f"- {_code(each['test'])} {_runs(each)}" for each in told["flaky"]])
    yield from _section("Slow", [f"- {each['seconds']:.1f} s {_code(each['test'])}" for each in told["slow"]])
    yield from _section("Could not be read to the end", [f"- {_code(each)}" for each in told["unreadable"]])
    yield from _section("Left out", [f"- {_code(each)}" for each in told["left_out"]])


WORDS = {"passed": "passed", "red": "red", "environment": "failed because of the environment", "skipped": "skipped", "flaky": "flaky"}


def _runs(told: dict[str, Any]) -> str:
    again = "failed and passed in this run" if told["in_this_run"] else ""
    signs = f"last runs {_code(told['runs'])}" if {"+", "-"} <= set(told["runs"]) else ""
    return "; ".join(filter(None, [again, signs]))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"### {title}", "", *lines[:MOST])
        if len(lines) > MOST:
            yield f"- and {len(lines) - MOST} more"


def _failures(title: str, failures: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not failures:
        return
    yield from ("", f"### {title}", "")
    for each in failures[:MOST]:
        place = f" ({each['file']}:{each['line']})" if each["file"] else ""
        yield f"<details><summary><code>{_html(_short(each['test'] + place))}</code></summary>"
        yield ""
        yield from _fenced([*each["message"].splitlines(), *each["text"].splitlines()])
        if each["evidence"]:
            yield from ("", "The environment at that moment:", "", *_fenced(each["evidence"]))
        yield from ("", "</details>", "")
    if len(failures) > MOST:
        yield f"and {len(failures) - MOST} more"


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    """Return *lines* in a code block that they cannot end; only the last lines if there are many."""
    shown = [line[:WIDEST] for line in lines[-MOST_LINES:]]
    fence = "`" * max([3, *(len(run) + 1 for line in shown for run in re.findall("`+", line))])
    yield from (f"{fence}text", *(["..."] if len(lines) > MOST_LINES else []), *shown, fence)


def _code(text: str) -> str:
    ticks = "`" * max([1, *(len(run) + 1 for run in re.findall("`+", text))])
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{_short(text)}{pad}{ticks}"


def _short(text: str) -> str:
    """Return *text* on one line, because a line break would end the markup around it."""
    return " ".join(text.split())[:WIDEST]


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
