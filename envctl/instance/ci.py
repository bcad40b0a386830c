"""The job of a CI system in which we run: what tells it from every other one, whatever machine and folder it has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class System(NamedTuple):
    """How a CI system shows itself, the variables that tell a job apart, and the one that holds its folder."""

    name: str
    mark: str
    needed: tuple[str, ...]
    more: tuple[str, ...] = ()
    """Where they are there."""
    folder: str = ""


# GitHub tells no program which combination of a matrix it is: ENVCTL_MATRIX is for that (the Action sets it), and every job of
# its runner has a tracking id of its own. An id of a job is enough where the system has one that no retry shares.
SYSTEMS = (
    System(
        "github", "GITHUB_ACTIONS", ("GITHUB_REPOSITORY", "GITHUB_RUN_ID"),
        ("GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "ENVCTL_MATRIX", "RUNNER_TRACKING_ID"), "GITHUB_WORKSPACE",
    ),
    System("gitlab", "GITLAB_CI", ("CI_JOB_ID",), ("CI_SERVER_HOST", "CI_PROJECT_PATH"), "CI_PROJECT_DIR"),
    System("jenkins", "JENKINS_URL", ("BUILD_TAG",), ("JENKINS_URL", "NODE_NAME", "EXECUTOR_NUMBER"), "WORKSPACE"),
    System("azure", "TF_BUILD", ("BUILD_BUILDID", "SYSTEM_JOBID"), ("SYSTEM_COLLECTIONURI", "SYSTEM_JOBATTEMPT"), "BUILD_SOURCESDIRECTORY"),
    System("circleci", "CIRCLECI", ("CIRCLE_WORKFLOW_JOB_ID",), ("CIRCLE_NODE_INDEX",), "CIRCLE_WORKING_DIRECTORY"),
    System("buildkite", "BUILDKITE", ("BUILDKITE_JOB_ID",), (), "BUILDKITE_BUILD_CHECKOUT_PATH"),
    System(
        "bitbucket", "BITBUCKET_BUILD_NUMBER", ("BITBUCKET_REPO_FULL_NAME", "BITBUCKET_STEP_UUID"), ("BITBUCKET_STEP_RUN_NUMBER",),
        "BITBUCKET_CLONE_DIR",
    ),
    System("travis", "TRAVIS", ("TRAVIS_JOB_ID",), (), "TRAVIS_BUILD_DIR"),
    System("drone", "DRONE", ("DRONE_REPO", "DRONE_BUILD_NUMBER"), ("DRONE_STAGE_NUMBER",), "DRONE_WORKSPACE"),
    System("teamcity", "TEAMCITY_VERSION", ("TEAMCITY_BUILDCONF_NAME", "BUILD_NUMBER"), ("TEAMCITY_PROJECT_NAME",)),
)  # fmt: skip


def job_key(environ: Mapping[str, str], project: Path) -> str:
    """The job, and *project*'s place in its folder; empty where this is no job that we know, or it does not say which it is."""
    for system in SYSTEMS:
        told = [environ.get(name, "") for name in system.needed]
        if environ.get(system.mark) and all(told):
            told += [f"{name}={environ[name]}" for name in system.more if environ.get(name)]
            return "/".join([system.name, *told, *_place(environ.get(system.folder, ""), project)])
    return ""


def _place(folder: str, project: Path) -> list[str]:
    """Two checkouts of one job are two projects."""
    if not folder:
        return []
    # CircleCI says ~/project, which would be another place for each folder that we are called in.
    path = os.path.relpath(os.path.realpath(project), os.path.realpath(os.path.expanduser(folder)))
    return [] if path == "." else [path]
