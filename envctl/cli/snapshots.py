"""The command `snapshots`: list, build, export, import and remove snapshots."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from envctl.cli.arguments import session_of
from envctl.cli.options import pairs
from envctl.cli.printing import table
from envctl.cli.progress import listener
from envctl.errors import UsageError
from envctl.instance.record import stamp
from envctl.lifecycle.options import UpOptions
from envctl.lifecycle.snapshot_building import build
from envctl.lifecycle.snapshot_commands import Kept, evict, export, import_, listed, prune, sweep
from envctl.process.terminal import give, show, tell
from envctl.session import Session
from envctl.snapshots.index import Entry

ASKED = "-"
"""Given instead of an environment: read the snapshots to build from standard input, as JSON. `up` starts this when it is done."""


class Action(StrEnum):
    """The action of the command; without one, it lists the snapshots."""

    BUILD = "build"
    EXPORT = "export"
    IMPORT = "import"


def snapshots(
    ctx: typer.Context,
    action: Annotated[
        Action | None,
        typer.Argument(metavar="[build|export|import]", help="What to do instead of listing the snapshots.", show_default=False),
    ] = None,
    what: Annotated[
        str | None,
        typer.Argument(metavar="[ENV|DIR]", show_default=False, help="The environment to build; the folder to export to or import from."),
    ] = None,
    prune_: Annotated[bool, typer.Option("--prune", help="Remove all snapshots that no instance uses.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    engine: Annotated[str | None, typer.Option("--engine", envvar="ENVCTL_ENGINE", metavar="E", help="The engine, for `build`.")] = None,
    context: Annotated[
        str | None, typer.Option("--context", envvar="ENVCTL_CONTEXT", metavar="C", help="The context, for `build`.")
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option("--registry", envvar="ENVCTL_REGISTRY", metavar="R", help="The registry from which a cluster pulls it, for `build`."),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="Set a variable of the definition, for `build`.")] = None,
) -> int:
    """List the snapshots, or build, export, import or prune them.

    A snapshot is the seeded data of a server, kept so that the next `up` can start from it.
    """
    session, silent = session_of(ctx), list[str]()
    if (action is None) != (what is None) or (action is not None and prune_):
        raise UsageError("this command is not complete", hint="`envctl snapshots`, `--prune`, `build ENV`, `export DIR` or `import DIR`")
    if action is None and not prune_:
        _list(listed(session, silent.append), as_json)
    elif prune_:
        left = sweep(session)
        _tell("removed", prune(session, silent.append))
        show(*(f"removed {ref}, which was incomplete" for ref in left))
    elif what == ASKED:
        _build_asked()
    elif action is Action.BUILD:
        options = UpOptions(what or "", engine=engine, context=context, registry=registry, set=pairs("--set", set_ or [], "K=V"))
        _tell("kept", build(session, options, (), [listener(session)]), "nothing to build: everything that can be kept is kept already")
        evict(session)
    elif action is Action.EXPORT:
        _tell("exported", export(session, session.cwd / (what or ""), silent.append))
    else:
        _tell("imported", import_(session, session.cwd / (what or "")))
    for why in silent:
        tell(f"envctl: {session.mask(why)}")
    return 1 if silent else 0


def _build_asked() -> None:
    told: dict[str, Any] = json.load(sys.stdin)
    session = Session(Session.here().environ, Path(told["cwd"]))
    build(session, UpOptions(**told["options"]), told["services"], low=True)
    evict(session)


def _list(found: list[Kept], as_json: bool) -> None:
    if as_json:
        give(json.dumps([_row(kept) for kept in found], ensure_ascii=False) + "\n")
    elif found:
        rows = [(k.entry.made_for, k.entry.kind, k.entry.image, k.entry.engine, _megabytes(k.entry), stamp(k.used)) for k in found]
        show(*table([("FOR", "KIND", "IMAGE", "ENGINE", "SIZE", "LAST USE"), *rows]))
    else:
        show("there are no snapshots")


def _row(kept: Kept) -> dict[str, Any]:
    entry = kept.entry
    shown = {"key": entry.key, "for": entry.made_for, "kind": entry.kind, "image": entry.image, "engine": entry.engine, "ref": entry.ref}
    return shown | {"size": entry.size, "steps": len(entry.steps), "created": entry.made, "used": stamp(kept.used)}


def _megabytes(entry: Entry) -> str:
    return f"{entry.size / 1e6:.0f} MB"


def _tell(done: str, entries: list[Entry], nothing: str = "") -> None:
    show(*([f"{done} {entry.made_for} ({entry.kind}, {_megabytes(entry)})" for entry in entries] or [nothing or f"nothing was {done}"]))
