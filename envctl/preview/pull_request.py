"""Which pull request, and which run of which head: from the variables of CI, or from `--key`."""

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
CHANGE = re.compile(
    r"https?://(?:[^/@]*@)?(?P<host>[^/]+)/(?P<repository>[^?#]+?)(?:/-)?/(?:pull|pulls|pull-requests|merge_requests)/(?P<number>[1-9][0-9]{0,8})"
)
"""How GitHub, Gitea, Bitbucket and GitLab call the page of one."""
FORM = "host/owner/repository#17"
LARGEST = 25_000_000
"""Bytes of an event's file."""


@dataclass(frozen=True)
class PullRequest:
    """One, as this command sees it.

    Attributes:
        repository: host/owner/repository, of the base.
        head: the commit that is shown; empty where nobody says it.
        run: what orders the runs of a CI system; None at a desk.
        url: of the run.
        foreign: whether its head is in another repository; None where nobody can tell.
    """

    repository: str
    number: int
    head: str = ""
    run: tuple[int, int] | None = None
    url: str = ""
    foreign: bool | None = False

    @property
    def key(self) -> str:
        return f"{self.repository}#{self.number}"

    @property
    def name(self) -> str:
        return f"pr-{self.number}"

    @property
    def untrusted(self) -> bool:
        """Whether what it holds is a stranger's, as far as anybody can tell."""
        return self.foreign is not False


def pull_request(environ: Mapping[str, str], key: str | None) -> PullRequest:
    """The one of *key*, or of the run of CI in which we are.

    Raises:
        UsageError: neither says one.
    """
    found = _of_ci(environ)
    if key is None:
        if found is None or not found.number:
            raise UsageError("this is not a CI run of a pull request", hint=f"name one: --key {FORM}")
        return found
    match = KEY.fullmatch(key)
    if match is None:
        raise UsageError(f"--key {key}: not the key of a pull request", hint=f"like {FORM}")
    repository, number = match["repository"], int(match["number"])
    if found is None:
        return PullRequest(repository, number)
    if (found.repository, found.number) == (repository, number):
        return found
    if not found.number:  # a run that knows no number of its own: what it says of its head is of this one
        return replace(found, repository=repository, number=number)
    # Somebody's run for another one: its order counts, its head does not.
    return replace(found, repository=repository, number=number, head="", foreign=None)


def repository_of(environ: Mapping[str, str], key: str | None) -> str:
    """host/owner/repository, of a key or of the run of CI.

    Raises:
        UsageError: neither says one.
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
    # A fork that was deleted has no name any more.
    names = [_map(each.get("repo")).get("full_name") for each in (head, base)]
    repository = environ["GITHUB_REPOSITORY"]
    server = environ.get("GITHUB_SERVER_URL") or "https://github.com"
    run = environ.get("GITHUB_RUN_ID", "")
    return PullRequest(
        f"{urlsplit(server).netloc}/{repository}", _number(number), str(head.get("sha") or ""),
        # The number of a run counts within one workflow; its id counts in all of them.
        (_number(run), _number(environ.get("GITHUB_RUN_ATTEMPT"))) if run else None,
        f"{server}/{repository}/actions/runs/{run}" if run else "",
        foreign=(names[0] is None or names[0] != names[1]) if told else None if number else False,
    )  # fmt: skip


def _of_run_before(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pull request of the run that has ended before this one (`on: workflow_run`); of a fork's nobody tells the number."""
    before = _map(event.get("workflow_run"))
    if before.get("event") not in ("pull_request", "pull_request_target"):
        return {}
    numbers = [_map(each).get("number") for each in before.get("pull_requests") or []]
    # Of a run for `pull_request_target` the commit may be the base's.
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
    """A build of a multibranch project: of a head that Jenkins may have merged, so its commit says nothing."""
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
