"""The pull request, its last commit and the CI run: from the environment variables of the CI system, or from `--key`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envctl.errors import UsageError
from envctl.files.reading import read_file

KEY = re.compile(r"(?P<repository>[A-Za-z0-9.:-]+(?:/[\w.-]+){2,})#(?P<number>[1-9][0-9]{0,8})")
"""The key of a pull request."""
CHANGE = re.compile(
    r"https?://(?:[^/@]*@)?(?P<host>[^/]+)/(?P<repository>[^?#]+?)(?:/-)?/(?:pull|pulls|pull-requests|merge_requests)/(?P<number>[1-9][0-9]{0,8})"
)
"""The URL of a pull request on GitHub, Gitea, Bitbucket and GitLab."""
FORM = "host/owner/repository#17"
LARGEST = 25_000_000
"""The maximum size of GitHub's event file, in bytes."""


@dataclass(frozen=True)
class PullRequest:
    """A pull request, as this command sees it.

    Attributes:
        repository: the repository into which it is merged, as host/owner/repository.
        number: its number in the repository; 0 if the CI run does not contain it.
        head: the hash of the commit that the preview shows; empty if unknown.
        run: two numbers that order CI runs: that of the run, and that of its attempt or job; None outside CI.
        url: the URL of the CI run; empty outside CI.
        foreign: whether its commits are in another repository (a fork); None if unknown.
    """

    repository: str
    number: int
    head: str = ""
    run: tuple[int, int] | None = None
    url: str = ""
    foreign: bool | None = False

    @property
    def key(self) -> str:
        """The key of the pull request: `host/owner/repository#17`."""
        return f"{self.repository}#{self.number}"

    @property
    def name(self) -> str:
        """The default name of the preview's instance: `pr-17`."""
        return f"pr-{self.number}"

    @property
    def untrusted(self) -> bool:
        """Whether the content may come from a stranger: its commits are in a fork, or their origin is unknown."""
        return self.foreign is not False


def pull_request(environ: Mapping[str, str], key: str | None) -> PullRequest:
    """Return the pull request with the key *key*, or that of the current CI run.

    Raises:
        UsageError: *key* is invalid, or it is None and this is not the CI run of a pull request.
    """
    found = _of_ci(environ)
    if key is None:
        if found is None or not found.number:
            raise UsageError("this is not a CI run of a pull request", hint=f"name one: --key {FORM}")
        return found
    match = KEY.fullmatch(key)
    if match is None:
        raise UsageError(f"--key {key}: not the key of a pull request", hint=f"write it like {FORM}")
    repository, number = match["repository"], int(match["number"])
    if found is None:
        return PullRequest(repository, number)
    if (found.repository, found.number) == (repository, number):
        return found
    if not found.number:  # the CI run has no number, so its head is taken for that of *key*
        return replace(found, repository=repository, number=number)
    # The CI run is for another pull request: its order counts, its head does not.
    return replace(found, repository=repository, number=number, head="", foreign=None)


def repository_of(environ: Mapping[str, str], key: str | None) -> str:
    """Return the repository of *key* or of the current CI run, as host/owner/repository.

    Raises:
        UsageError: *key* is invalid, or it is None and this is not a CI run.
    """
    text = (key or "").partition("#")[0]
    if text and KEY.fullmatch(f"{text}#1"):
        return text
    found = _of_ci(environ)
    if key or found is None:
        raise UsageError("the repository is not known", hint="name it: --key host/owner/repository")
    return found.repository


def _of_ci(environ: Mapping[str, str]) -> PullRequest | None:
    if environ.get("GITHUB_ACTIONS") and environ.get("GITHUB_REPOSITORY"):
        return _of_github(environ)
    if environ.get("GITLAB_CI") and environ.get("CI_PROJECT_PATH"):
        return _of_gitlab(environ)
    if environ.get("JENKINS_URL") and environ.get("CHANGE_URL"):
        return _of_jenkins(environ)
    return None


def _of_github(environ: Mapping[str, str]) -> PullRequest:
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    told, issue = _map(event.get("pull_request")) or _of_run_before(event), _map(event.get("issue"))
    ref = re.fullmatch(r"refs/pull/(\d+)/(?:merge|head)", environ.get("GITHUB_REF", ""))
    number = told.get("number") or (issue.get("number") if issue.get("pull_request") else None) or (ref[1] if ref else 0)
    head, base = _map(told.get("head")), _map(told.get("base"))
    # A deleted fork has no name.
    names = [_map(each.get("repo")).get("full_name") for each in (head, base)]
    repository = environ["GITHUB_REPOSITORY"]
    server = environ.get("GITHUB_SERVER_URL") or "https://github.com"
    run = environ.get("GITHUB_RUN_ID", "")
    return PullRequest(
        f"{urlsplit(server).netloc}/{repository}", _number(number), str(head.get("sha") or ""),
        # The run id orders the runs of all workflows; the run number only those of one workflow.
        (_number(run), _number(environ.get("GITHUB_RUN_ATTEMPT"))) if run else None,
        f"{server}/{repository}/actions/runs/{run}" if run else "",
        foreign=(names[0] is None or names[0] != names[1]) if told else None if number else False,
    )  # fmt: skip


def _of_run_before(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the pull request of the run after which this one starts (`on: workflow_run`). For a fork, its number is not known."""
    before = _map(event.get("workflow_run"))
    if before.get("event") not in ("pull_request", "pull_request_target"):
        return {}
    numbers = [_map(each).get("number") for each in before.get("pull_requests") or []]
    # In a run for `pull_request_target`, the commit may be that of the base branch.
    head = before.get("head_sha") if before["event"] == "pull_request" else ""
    return {
        "number": numbers[0] if len(numbers) == 1 else 0,
        "head": {"sha": head, "repo": before.get("head_repository")},
        "base": {"repo": before.get("repository")},
    }


def _of_gitlab(environ: Mapping[str, str]) -> PullRequest:
    source, target = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"), environ.get("CI_MERGE_REQUEST_PROJECT_PATH")
    head = environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA", "")
    pipeline = environ.get("CI_PIPELINE_ID", "")
    return PullRequest(
        f"{environ.get('CI_SERVER_HOST', 'gitlab.com')}/{target or environ['CI_PROJECT_PATH']}",
        _number(environ.get("CI_MERGE_REQUEST_IID")), head,
        (_number(pipeline), _number(environ.get("CI_JOB_ID"))) if pipeline else None, environ.get("CI_JOB_URL", ""),
        foreign=source != target,
    )  # fmt: skip


def _of_jenkins(environ: Mapping[str, str]) -> PullRequest | None:
    """Return the pull request of a multibranch build. Its head stays empty, because Jenkins may have built a merge commit instead."""
    found = CHANGE.match(environ["CHANGE_URL"])
    if found is None:
        return None
    build = environ.get("BUILD_NUMBER", "")
    return PullRequest(
        f"{found['host']}/{found['repository']}", _number(found["number"]), "", (_number(build), 0) if build else None,
        environ.get("BUILD_URL", ""), foreign=bool(environ.get("CHANGE_FORK")),
    )  # fmt: skip


def _event(path: str | None) -> Mapping[str, Any]:
    if not path:
        return {}
    try:
        return _map(json.loads(read_file(Path(path), Path(path).parent, largest=LARGEST)))
    except (OSError, ValueError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH: {path} cannot be read: {error}") from None


def _map(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _number(text: Any) -> int:
    return int(text) if str(text).isdecimal() else 0
