"""Tests of recognising the job of a CI system from its environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.instance.ci import SYSTEMS, System, job_key

HERE = Path("/w/repo")
GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "5", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "test",
    "GITHUB_WORKSPACE": "/w/repo", "RUNNER_TRACKING_ID": "github_1",
}  # fmt: skip


def test_on_a_desk_there_is_none() -> None:
    assert job_key({"CI": "1"}, HERE) == ""


def test_a_job_of_github() -> None:
    assert job_key(GITHUB, HERE) == "github/o/r/5/GITHUB_RUN_ATTEMPT=1/GITHUB_JOB=test/RUNNER_TRACKING_ID=github_1"


@pytest.mark.parametrize("name", [*SYSTEMS[0].needed, *SYSTEMS[0].more])
def test_each_part_makes_another_job(name: str) -> None:
    assert job_key(GITHUB | {name: "other"}, HERE) != job_key(GITHUB, HERE)


def test_two_checkouts_of_one_job_are_two_projects() -> None:
    assert job_key(GITHUB, Path("/w/repo/other")).endswith("/other")


def test_the_folder_of_a_runner_says_nothing() -> None:
    assert job_key(GITHUB | {"GITHUB_WORKSPACE": "/elsewhere"}, Path("/elsewhere")) == job_key(GITHUB, HERE)


def test_a_folder_below_ones_home_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CircleCI gives the folder as `~/project`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    job = {"CIRCLECI": "true", "CIRCLE_WORKFLOW_JOB_ID": "7", "CIRCLE_WORKING_DIRECTORY": "~/project"}
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    for folder in (project, project / "sub"):
        monkeypatch.chdir(folder)
        assert job_key(job, project) == "circleci/7"


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_system_that_we_know(system: System) -> None:
    told = {system.mark: "yes", **dict.fromkeys(system.needed, "1")}
    assert job_key(told, HERE).startswith(system.name + "/1")
    assert job_key(told | {system.needed[-1]: ""}, HERE) == ""  # without this variable, the system does not identify the job
    assert job_key({**told, system.mark: ""}, HERE) == "" or system.mark in system.needed
