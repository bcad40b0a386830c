"""Findings about this machine: what works, and what to do if something does not, in the order in which users read them."""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from envctl import __version__
from envctl.engines import registry
from envctl.engines.protocol import Finding
from envctl.instance.machine import process_alive
from envctl.instance.record import InstanceState, Record
from envctl.process.threads import begun
from envctl.session import Session


def findings(session: Session) -> list[Finding]:
    """Return all findings without changing anything."""
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        **{name: partial(registry.findings, name, session.host) for name in registry.names()},
        "state": lambda: state(session.store.home),
        "instances": lambda: [*instances(session.store.all()), *unreadable(session)],
        "python": python,
        "envctl": lambda: ours(session.environ),
    }
    asked = [begun(partial(_checked, area, check), area) for area, check in checks.items()]  # in parallel: one timeout for several
    return [finding for answer in asked for finding in answer.result()]


def working(found: Iterable[Finding]) -> list[str]:
    """Return the engines for which everything that they need was found."""
    needed = [finding for finding in found if finding.needed]
    return [name for name in registry.names() if (own := [f.ok for f in needed if f.area == name]) and all(own)]


def _checked(area: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return the findings of one check. An error becomes a finding, so that it hides neither earlier findings nor other checks."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:
        text = f"could not be checked: {type(error).__name__}: {error}".splitlines()[0]
        found.append(Finding(area, False, text, needed=area in registry.names()))
    return found


def state(folder: Path) -> Iterator[Finding]:
    """Yield findings about the state folder of the instances, which only its owner may read, because it contains passwords."""
    there = next(
        path for path in (folder, *folder.parents) if os.path.exists(path)
    )  # Path.exists raises if another user's folder is in between
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding("state", False, f"{folder} cannot be written", "check its owner and mode, or set XDG_STATE_HOME")
    elif there != folder:
        yield Finding("state", True, f"the first `up` will create {folder}")
    else:
        mode = stat.S_IMODE(folder.stat().st_mode)
        advice = f"other users can see what is in it; run `chmod 700 {folder}`" if mode & 0o077 else ""
        yield Finding("state", not advice, f"{folder}, mode {mode:04o}", advice)


def instances(records: list[Record]) -> Iterator[Finding]:
    """Yield findings about instances that are expired, interrupted or without an owner."""
    left = [(record, why) for record in records if (why := _why_left(record))]
    for record, why in left:
        advice = f"`envctl gc`, or `envctl down {record.name}` in {record.project}"
        yield Finding("instances", False, f"{record.name} ({record.id}) {why}", advice)
    if not left:
        up = f"{len(records)} up, none of them expired or without an owner" if records else "nothing is up"
        yield Finding("instances", True, up)


def unreadable(session: Session) -> Iterator[Finding]:
    """Yield a finding for each record that this version cannot read."""
    for error in session.store.unreadable():
        yield Finding("instances", False, error.message, error.hint)


def _why_left(record: Record) -> str:
    if record.expired:
        return f"expired at {record.expires}"
    if process_alive(record.owner) is False:
        return "has lost its owner"
    if record.state is InstanceState.STARTING and process_alive(record.process) is False:
        return "was interrupted while it came up"
    return ""


def python() -> Iterator[Finding]:
    """Yield the version and the path of Python."""
    yield Finding("python", True, f"Python {platform.python_version()}, {sys.executable}")


def ours(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield envctl's version and path, and whether completion for the user's shell is installed."""
    yield Finding("envctl", True, f"envctl {__version__}, {Path(__file__).parent.parent}")
    shell = Path(environ.get("SHELL", "")).name
    files = {
        "bash": ".bash_completions/envctl.sh",
        "zsh": ".zfunc/_envctl",
        "fish": ".config/fish/completions/envctl.fish",
    }
    if shell in files:
        there = Path(os.path.expanduser("~"), files[shell]).exists()
        text = f"completion for {shell} " + ("is installed" if there else "can be installed")
        yield Finding("envctl", True, text, "" if there else "`envctl --install-completion` installs it")
