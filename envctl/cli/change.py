"""`restart`, `seed`, `reset`, `extend`: what changes an instance."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from envctl.cli.arguments import Instance, ServiceName, duration
from envctl.cli.failure import hide
from envctl.cli.progress import reporter
from envctl.errors import UsageError
from envctl.inspect.lookup import find_record, service_of
from envctl.instance import Record
from envctl.lifecycle import change
from envctl.lifecycle.request import DEFAULT_TIMEOUT

Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="D", envvar="ENVCTL_TIMEOUT", help="One deadline for all of it (10m).", show_default=False),
]
OneService = Annotated[list[str] | None, typer.Argument(metavar="[S]...", show_default=False, help="All without one.")]


def restart(
    name: Instance,
    service: ServiceName,
    build: Annotated[bool, typer.Option("--build", help="Build its image again first.")] = False,
    timeout: Timeout = None,
) -> None:
    """Start one service again; its ports and its data stay."""
    record = _record(name)
    change.restart(record, service_of(record, service), build, reporter(), duration("--timeout", timeout) or DEFAULT_TIMEOUT)


def seed(name: Instance, service: OneService = None, timeout: Timeout = None) -> None:
    """Seed what is not seeded yet."""
    record = _record(name)
    change.seed(record, [service_of(record, s) for s in service or []], reporter(), duration("--timeout", timeout) or DEFAULT_TIMEOUT)


def reset(name: Instance, service: OneService = None, timeout: Timeout = None) -> None:
    """Back to the seeded state: data is thrown away and seeded anew."""
    record = _record(name)
    change.reset(record, [service_of(record, s) for s in service or []], reporter(), duration("--timeout", timeout) or DEFAULT_TIMEOUT)


def extend(
    name: Instance, time: Annotated[str, typer.Argument(metavar="D", show_default=False, help="How long from now: 30m, 2h, 1d.")]
) -> None:
    """More time: the instance is removed that long from now, and not earlier."""
    seconds = duration("D", time)
    if not seconds:
        raise UsageError(f"{time} is no time to live", hint=f"like 2h; `envctl down {name}` removes it now")
    record = find_record(name)
    change.extend(record, seconds)
    print(f"{record.name} lasts until {record.expires}", file=sys.stderr)


def _record(name: str) -> Record:
    record = find_record(name)
    hide(record.secrets)
    return record
