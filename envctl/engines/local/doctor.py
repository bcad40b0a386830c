"""The checks of `doctor` for this machine: which kinds it can run, and what is missing for the others."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from envctl.definition.kinds import Kind, Local, load_kinds
from envctl.engines.local.programs import find_program
from envctl.engines.protocol import Finding
from envctl.session.session import Host


def findings(host: Host) -> Iterator[Finding]:
    """Yield the results of all checks; nothing is changed."""
    system = platform.system()
    supported = system in ("Linux", "Darwin")
    yield Finding("local", supported, system, "" if supported else "Linux and macOS are supported", needed=True)
    kinds = load_kinds()
    found = {name: kind for name in sorted(kinds.files) if not (kind := kinds[name]).own}
    yield from (_program(kind, kind.local, host.environ.get("PATH")) for kind in found.values() if kind.local)
    contained = [name for name, kind in found.items() if not kind.local]
    if contained:
        yield Finding("local", False, f"only in a container: {', '.join(contained)}", "`--use SERVICE=URL` uses a server that is running")


def _program(kind: Kind, local: Local, path: str | None) -> Finding:
    found = find_program(local, kind.version or "", path)
    if found is None:
        return Finding("local", False, f"{kind.kind}: its program is not installed", local.install)
    where = "envctl's own server" if found.python else f"{found.version} ({found.path})"
    return Finding("local", True, f"{kind.kind}: {where}")
