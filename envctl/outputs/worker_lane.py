"""The lane of a process: the lane that it asks for, or the lane of the parallel test worker that it is."""

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
    "TEST_ENV_NUMBER": (re.compile(r"([0-9]+)"), 1),  # empty for the first worker
}
"""The variables of test tools, each with the form of its value and the number of the first worker."""


def lane_of(environ: Mapping[str, str]) -> int | None:
    """Return the lane of the worker whose variables *environ* has, from 1; None if it is not a worker.

    Raises:
        UsageError: `ENVCTL_LANE` is not a lane.
    """
    own = environ.get(OURS, "").strip()
    # Without forks, a build tool leaves the placeholder unchanged, or replaces it by an empty text.
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
    """Return the variables of a test process: its identity, and the outputs of its lane (of the first lane if it is not a worker).

    Args:
        lane: the lane to use instead of the lane of the worker in *environ*.

    Raises:
        UsageError: the lane does not exist, so the worker would have to share another worker's lane.
    """
    chosen = lane if lane is not None or not record.lanes else lane_of(environ)
    if chosen is None:
        return {**record.outputs, **process_variables(record)}
    return {**outputs_of(record, chosen), **process_variables(record), OURS: str(chosen)}


def access_variables(folder: Path) -> dict[str, str]:
    """Return the URL and the token with which tests request leases and resets from the keeper; empty if no keeper runs.

    Args:
        folder: the state folder of the instance.
    """
    keeper = KeeperClient.at(folder)
    return {"ENVCTL_URL": f"http://127.0.0.1:{keeper.port}", "ENVCTL_TOKEN": keeper.tests_token} if keeper else {}


def outputs_of(record: Record, lane: int) -> Mapping[str, str]:
    """Return the outputs of *lane*. Raise UsageError if the lane does not exist."""
    count = len(record.lanes)
    if 0 < lane <= count:
        return record.lanes[lane - 1].outputs
    if lane < 1:
        raise UsageError(f"lane {lane}: lanes are numbered from 1")
    there = f"{count} lane{'s' if count > 1 else ''}" if count else "no lanes"
    raise UsageError(f"{record.name} has {there}, but lane {lane} is needed", hint=f"`--lanes {lane}`, or fewer parallel workers")
