"""The command `doctor`: show which engines work on this machine, and what to do about the others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from envctl.cli.arguments import session_of
from envctl.engines.protocol import Finding
from envctl.errors import EngineMissing
from envctl.errors.printable import harmless
from envctl.inspect.doctor import findings, working
from envctl.process.terminal import give
from envctl.process.wrapping import wrapped

MARKS = {True: "✓", False: "✗"}
ASCII_MARKS = {True: "+", False: "x"}
COLOURS = {True: "32", False: "31"}


def doctor(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of findings.")] = False) -> int:
    """Show which engines work here, and what to do about those that do not."""
    found = findings(session_of(ctx))
    if as_json:
        give(json.dumps([finding._asdict() for finding in found], ensure_ascii=False) + "\n")
    else:
        encoding = sys.stdout.encoding or "ascii"
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        shown = lines(found, unicode="utf" in encoding.lower(), coloured=coloured)
        text = "".join(f"{wrapped(line, sys.stdout, verbatim='')}\n" for line in shown)
        give(text.encode(encoding, "replace").decode(encoding))
    return 0 if working(found) else EngineMissing.exit_code


def lines(found: Sequence[Finding], *, unicode: bool, coloured: bool) -> Iterator[str]:
    """Yield the lines of the report: the findings by area, each with a mark, and with its advice on the next line."""
    width = max((len(finding.area) for finding in found), default=0)
    area = ""
    for finding in found:
        head = finding.area if finding.area != area else ""
        area = finding.area
        yield f"{head:<{width}}  {_mark(finding.ok, unicode, coloured)} {harmless(finding.text)}"
        if finding.advice:
            yield f"{'':<{width}}    {'→' if unicode else '->'} {harmless(finding.advice)}"
    names = working(found)
    yield ""
    yield f"works here: {', '.join(names)}" if names else "no engine works here"


def _mark(ok: bool, unicode: bool, coloured: bool) -> str:
    mark = (MARKS if unicode else ASCII_MARKS)[ok]
    return f"\x1b[{COLOURS[ok]}m{mark}\x1b[0m" if coloured else mark
