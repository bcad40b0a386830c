"""Identify the CI job in which envctl runs, so that no two jobs share an instance, even on the same machine or in the same folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class System(NamedTuple):
    """A CI system: the variable that shows its presence, the variables that identify a job, and the variable with the job's folder."""

    name: str
    mark: str
    needed: tuple[str, ...]
    more: tuple[str, ...] = ()
    """Variables that also identify a job, where they are set."""
    folder: str = ""


# GitHub has no variable for the combination of a matrix: ENVCTL_MATRIX is for that (the Action sets it), and RUNNER_TRACKING_ID differs for
# every job of GitHub's runner. Where a system has a job id that changes with every retry, the job id is enough.
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
    """Return a key of the current CI job and of *project*'s place in the job's folder; empty outside of a known CI system.

    It is also empty where the system does not set the variables that identify a job.
    """
    for system in SYSTEMS:
        told = [environ.get(name, "") for name in system.needed]
        if environ.get(system.mark) and all(told):
            told += [f"{name}={environ[name]}" for name in system.more if environ.get(name)]
            return "/".join([system.name, *told, *_place(environ.get(system.folder, ""), project)])
    return ""


def _place(folder: str, project: Path) -> list[str]:
    """Return the relative path of *project* in the job's folder: two checkouts in one job are two projects."""
    if not folder:
        return []
    # CircleCI sets `~/project`; unless `~` is expanded, the result depends on the current folder.
    path = os.path.relpath(os.path.realpath(project), os.path.realpath(os.path.expanduser(folder)))
    return [] if path == "." else [path]
