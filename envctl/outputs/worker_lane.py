"""Which lane a process gets: the one it asks for, or that of the parallel test worker that it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.errors import UsageError
from envctl.keeper_client.client import KeeperClient
from envctl.outputs import process_variables

if TYPE_CHECKING:
    from envctl.instance.record import Record

OURS = "ENVCTL_LANE"
WORKERS = {
    "PYTEST_XDIST_WORKER": (re.compile(r"gw([0-9]+)"), 0),
    "VITEST_POOL_ID": (re.compile(r"([0-9]+)"), 1),
    "JEST_WORKER_ID": (re.compile(r"([0-9]+)"), 1),
    "TEST_PARALLEL_INDEX": (re.compile(r"([0-9]+)"), 0),
    "CUCUMBER_WORKER_ID": (re.compile(r"([0-9]+)"), 0),
    "TEST_ENV_NUMBER": (re.compile(r"([0-9]+)"), 1),  # the first one's is empty
}
"""A test tool's variable: how its value is written, and from which number it counts."""


def lane_of(environ: Mapping[str, str]) -> int | None:
    """The lane of the worker that *environ* belongs to, from 1; None where it belongs to none.

    Raises:
        UsageError: `ENVCTL_LANE` is no lane.
    """
    own = environ.get(OURS, "").strip()
    # A build tool that has no forks leaves its placeholder as it is, or puts nothing in its place.
    if own not in ("", "f") and "${" not in own:
        found = re.fullmatch(r"f?([0-9]{1,6})", own)
        if not found or not int(found[1]):
            raise UsageError(f"{OURS}={own}: not a lane", hint="a number from 1, or `f` and the number of a fork: f3")
        return int(found[1])
    for name, (form, first) in WORKERS.items():
        if found := form.fullmatch(environ.get(name, "")):
            return max(int(found[1]) - first, 0) + 1
    return None


def worker_variables(record: Record, environ: Mapping[str, str], lane: int | None = None) -> dict[str, str]:
    """What a test process receives: the outputs of its lane (the first where it is no worker), and the variables that say where it is.

    Args:
        lane: another lane than that of the worker that *environ* belongs to.

    Raises:
        UsageError: there is no such lane, so that the worker would share somebody else's.
    """
    chosen = lane if lane is not None or not record.lanes else lane_of(environ)
    if chosen is None:
        return {**record.outputs, **process_variables(record)}
    return {**outputs_of(record, chosen), **process_variables(record), OURS: str(chosen)}


def access_variables(folder: Path) -> dict[str, str]:
    """Where tests ask for leases and resets, and with which token: of the keeper of the instance whose state is in *folder*."""
    keeper = KeeperClient.at(folder)
    return {"ENVCTL_URL": f"http://127.0.0.1:{keeper.port}", "ENVCTL_TOKEN": keeper.tests_token} if keeper else {}


def outputs_of(record: Record, lane: int) -> Mapping[str, str]:
    """Raises UsageError: there is no such lane."""
    count = len(record.lanes)
    if 0 < lane <= count:
        return record.lanes[lane - 1].outputs
    if lane < 1:
        raise UsageError(f"lane {lane}: lanes count from 1")
    there = f"{count} lane{'s' if count > 1 else ''}" if count else "no lanes"
    raise UsageError(f"{record.name} has {there}, and this is for lane {lane}", hint=f"`--lanes {lane}`, or fewer parallel workers")
