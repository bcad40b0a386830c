"""The command `report`: merge the JUnit files of test runs into one summary."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from envctl.cli.arguments import session_of
from envctl.errors import UsageError
from envctl.files.writing import always, write_file
from envctl.process.terminal import give, tell
from envctl.reports.history import read_history, write_history
from envctl.reports.merge import merge
from envctl.reports.summary import document, markdown


def report(
    ctx: typer.Context,
    places: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Folders written by --report, or any with JUnit files.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file instead of stdout.", show_default=False)
    ] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="FILE", help="Keep the last runs in this file, to recognise flaky tests.", show_default=False),
    ] = None,
) -> int:
    """Merge JUnit files into one summary: failed, slow and flaky tests, and failures that the environment caused."""
    session = session_of(ctx)
    kept = session.cwd / history if history else None
    try:
        merged = merge([session.cwd / place for place in places], read_history(kept) if kept else {})
        told = document(merged)
        text = json.dumps(told, ensure_ascii=False, indent=2) + "\n" if as_json else markdown(told)
        if output:
            path = session.cwd / output
            write_file(path, session.mask(text), path.parent, ours=always)
        else:
            give(session.mask(text))
        if kept:
            write_history(kept, merged.runs)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    tell(*[session.mask(str(problem)) for problem in merged.problems])
    return 1 if merged.problems else 0
