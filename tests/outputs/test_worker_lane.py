"""Tests of which lane a test worker gets."""

from __future__ import annotations

import pytest

from envctl.errors import UsageError
from envctl.instance.record import LaneRecord, Record
from envctl.outputs.worker_lane import lane_of, worker_variables

RECORD = Record(
    name="t", id="t-1", environment="t", engine="docker", project="", file="", created="", secret="", outputs={"URL": "one"},
    lanes=(LaneRecord(1, {"URL": "one"}), LaneRecord(2, {"URL": "two"})),
)  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "lane"),
    [
        ({}, None),
        ({"ENVCTL_LANE": "2"}, 2),
        ({"ENVCTL_LANE": "f3"}, 3),
        ({"ENVCTL_LANE": ""}, None),
        ({"ENVCTL_LANE": "f"}, None),
        ({"ENVCTL_LANE": "f${surefire.forkNumber}"}, None),
        ({"ENVCTL_LANE": "", "JEST_WORKER_ID": "4"}, 4),
        ({"ENVCTL_LANE": "2", "PYTEST_XDIST_WORKER": "gw6"}, 2),
        ({"PYTEST_XDIST_WORKER": "gw0"}, 1),
        ({"PYTEST_XDIST_WORKER": "gw12"}, 13),
        ({"PYTEST_XDIST_WORKER": "master"}, None),
        ({"VITEST_POOL_ID": "1"}, 1),
        ({"JEST_WORKER_ID": "2"}, 2),
        ({"TEST_PARALLEL_INDEX": "0"}, 1),
        ({"TEST_PARALLEL_INDEX": "3"}, 4),
        ({"CUCUMBER_WORKER_ID": "0"}, 1),
        ({"CUCUMBER_WORKER_ID": "x"}, None),
        ({"TEST_ENV_NUMBER": ""}, None),
        ({"TEST_ENV_NUMBER": "2"}, 2),
    ],
)
def test_workers_are_recognised(environ: dict[str, str], lane: int | None) -> None:
    assert lane_of(environ) == lane


@pytest.mark.parametrize("text", ["0", "f0", "x", "-1", "1.5", "two"])
def test_a_lane_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a lane"):
        lane_of({"ENVCTL_LANE": text})


def test_a_worker_gets_its_lane_and_others_the_first() -> None:
    assert worker_variables(RECORD, {"PYTEST_XDIST_WORKER": "gw1"})["URL"] == "two"
    assert worker_variables(RECORD, {"PYTEST_XDIST_WORKER": "gw1"}, 1)["URL"] == "one"
    assert worker_variables(RECORD, {})["URL"] == "one"
    assert worker_variables(RECORD, {"JEST_WORKER_ID": "2"})["ENVCTL_LANE"] == "2"
    assert "ENVCTL_LANE" not in worker_variables(RECORD, {})


def test_more_workers_than_lanes_are_told_the_number_to_give() -> None:
    with pytest.raises(UsageError, match="t has 2 lanes, but lane 5 is needed") as raised:
        worker_variables(RECORD, {"PYTEST_XDIST_WORKER": "gw4"})
    assert "--lanes 5" in raised.value.hint


def test_without_lanes_workers_share_what_there_is() -> None:
    shared = Record(name="t", id="t-1", environment="t", engine="docker", project="", file="", created="", secret="", outputs={"URL": "x"})
    assert worker_variables(shared, {"PYTEST_XDIST_WORKER": "gw4"})["URL"] == "x"
    with pytest.raises(UsageError, match="no lanes"):
        worker_variables(shared, {}, 1)
