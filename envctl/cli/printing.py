"""Format output for people: errors with their evidence and advice, endpoints, and tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from envctl.cli import github
from envctl.cli.times import relative
from envctl.errors import DefinitionError, EnvctlError, Evidence, ServiceFailed
from envctl.errors.printable import harmless, without_colours
from envctl.instance.record import Record
from envctl.process.terminal import tell
from envctl.session.mask import Mask

SLOW_SECONDS = 15.0
"""The seconds after which `up` also prints which phases took longest."""
WHAT = {
    "plan": "planning",
    "allocate": "choosing ports",
    "images": "pulling and building",
    "create": "creating",
    "services": "starting and seeding",
}


def print_error(error: EnvctlError, mask: Mask, environ: Mapping[str, str] | None = None) -> None:
    """Print *error* to stderr. On GitHub Actions, also print annotations and add to the step's summary."""
    environ = environ or {}
    lines = describe(error, mask)
    if github.runs_here(environ):
        # Not through `tell`, which escapes commands of the runner: these commands are envctl's own, and their text is escaped.
        print(*github.errors(error, mask), sep="\n", file=sys.stderr, flush=True)
        github.summarise(environ, error.message.splitlines()[0] if not isinstance(error, DefinitionError) else lines[-1], lines)
        if isinstance(error, ServiceFailed) and error.evidence is not None:
            print(*github.grouped(lines, f"evidence of {error.evidence.service}"), sep="\n", file=sys.stderr, flush=True)
            lines = lines[:1]
    tell(*lines)


def print_problems(error: DefinitionError, mask: Mask, environ: Mapping[str, str]) -> None:
    """Print the mistakes in one of several definitions to stderr; on GitHub Actions, also as annotations at their lines."""
    if github.runs_here(environ):
        print(*github.errors(error, mask), sep="\n", file=sys.stderr, flush=True)
    tell(*problems(error, mask))


def describe(error: EnvctlError, mask: Mask) -> list[str]:
    """Return the lines that describe *error*, with secrets masked. Only lines that envctl itself wrote begin without indentation."""
    if isinstance(error, DefinitionError):
        count = len(error.problems)
        hints = [f"  {line}" for line in mask(error.hint).splitlines()]
        return [*problems(error, mask), f"envctl: {counted(count, 'mistake')}; nothing was started", *hints]
    lines = mask(f"envctl: {error.message}").replace("\n", "\n    ").split("\n")
    if isinstance(error, ServiceFailed) and error.evidence is not None:
        lines += mask("\n".join(_evidence(error.evidence))).split("\n")
    if error.hint:
        lines += [f"  {line.strip()}" for line in mask(error.hint).split("\n")]
    return [harmless(line) for line in lines]


def problems(error: DefinitionError, mask: Mask) -> list[str]:
    """Return one line for each mistake."""
    return [str(problem.masked(mask)) for problem in error.problems]


def _evidence(evidence: Evidence) -> list[str]:
    lines = [f"  service    {evidence.service}", f"  step       {evidence.step}"]
    lines += [f"  probe      {text}" for text in evidence.history]
    if evidence.exit_status is not None:
        lines.append(f"  exit code  {evidence.exit_status}")
    if evidence.logs:
        lines += [f"  last {counted(len(evidence.logs), 'line')}:"] + [f"    {without_colours(line)}" for line in evidence.logs]
    elif evidence.step not in ("pull", "build"):
        lines.append("  it printed nothing")
    if evidence.advice:
        lines.append(f"  try        {evidence.advice}")
    return lines


def counted(number: int, what: str) -> str:
    """Return *number* and the noun *what*, in the plural if needed: `1 output`, `2 outputs`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def endpoints(record: Record, called: str) -> list[str]:
    """Return one line for each endpoint of the instance, then hints on further commands, which name the instance *called*."""
    rows = [
        (name, port, f"{endpoint.host}:{endpoint.port}")
        for name, service in record.services.items()
        for port, endpoint in service.endpoints.items()
    ]
    for name, service in record.services.items():
        if service.public_url:
            rows.append((name, "public_url", service.public_url + (" (does not answer yet)" if service.public_fault else "")))
    took = record.timings_ms.get("total", 0) / 1000
    until = f"; expires {relative(record.expires)}" if record.expires else ""
    lines = [f"{record.name} is up ({took:.1f} s{until})", *table(rows, indent="  ")]
    if took >= SLOW_SECONDS:
        lines.append(f"most of the time: {_slowest(record)}")
    outputs = f"envctl env {called} prints its {counted(len(record.outputs), 'output')}; " if record.outputs else ""
    return [*lines, f"{outputs}envctl down {called} removes it"]


def _slowest(record: Record) -> str:
    """Return the two longest phases with their times, and the service that was ready last."""
    took = {WHAT.get(name, name): ms / 1000 for name, ms in record.timings_ms.items() if name != "total"}
    longest = sorted(took.items(), key=lambda each: -each[1])[:2]
    ready = {name: service.ready_ms for name, service in record.services.items() if service.ready_ms}
    last = max(ready, key=lambda name: ready[name] or 0, default="")
    return ", ".join(f"{what} {seconds:.1f} s" for what, seconds in longest) + (f" (the last to be ready: {last})" if last else "")


def status(shown: Mapping[str, Any]) -> list[str]:
    """Return the lines of `status` for one instance; *shown* is its status document."""
    rows = [("SERVICE", "KIND", "STATE", "READY", "ENDPOINTS")]
    for name, entry in shown["services"].items():
        where = ", ".join(f"{port} {e['host']}:{e['port']}" for port, e in entry["endpoints"].items())
        ready = f"{entry['ready_ms'] / 1000:.1f} s" if entry["ready_ms"] is not None else ""
        rows.append((name, entry["kind"], entry["state"], ready, where))
    expires = f", expires {relative(shown['expires'])}" if shown["expires"] else ""
    head = f"{shown['name']} ({shown['id']}) on {shown['engine']}: {shown['state']}{expires}"
    return [head, *table(rows, indent="  ")]


def table(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Return *rows* as lines with aligned columns, without trailing blanks."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows]
