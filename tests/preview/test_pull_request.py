"""Tests of finding the pull request from CI variables and `--key`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envctl.errors import UsageError
from envctl.preview.pull_request import PullRequest, pull_request, repository_of

GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "900", "GITHUB_RUN_ATTEMPT": "2"}
URL = "https://github.com/o/r/actions/runs/900"


def github(folder: Path, event: Any = None, **more: str) -> dict[str, str]:
    (folder / "event.json").write_text(event if isinstance(event, str) else json.dumps(event or {}))
    return {**GITHUB, "GITHUB_EVENT_PATH": str(folder / "event.json"), **more}


def event(head: str | None = "o/r", number: int = 17) -> dict[str, Any]:
    repo = {"full_name": head} if head else None
    return {"pull_request": {"number": number, "head": {"sha": "abc", "repo": repo}, "base": {"repo": {"full_name": "o/r"}}}}


@pytest.mark.parametrize(("head", "foreign"), [("o/r", False), ("fork/r", True), (None, True)])
def test_of_github(tmp_path: Path, head: str | None, foreign: bool) -> None:
    found = pull_request(github(tmp_path, event(head)), None)
    assert found == PullRequest("github.com/o/r", 17, "abc", (900, 2), URL, foreign)
    assert (found.key, found.name, found.untrusted) == ("github.com/o/r#17", "pr-17", foreign)


def test_of_an_enterprise_server(tmp_path: Path) -> None:
    assert pull_request(github(tmp_path, event(), GITHUB_SERVER_URL="https://git.corp"), None).key == "git.corp/o/r#17"


@pytest.mark.parametrize(
    ("told", "more"),
    [({"issue": {"number": 17, "pull_request": {}, "x": 1}}, {}), ({}, {"GITHUB_REF": "refs/pull/17/merge"})],
)
def test_where_nobody_tells_whose_head_it_is_it_is_a_strangers(tmp_path: Path, told: Any, more: dict[str, str]) -> None:
    told = {"issue": {"number": 17, "pull_request": {"url": "x"}}} if told else told
    found = pull_request(github(tmp_path, told, **more), None)
    assert (found.number, found.foreign, found.untrusted) == (17, None, True)


@pytest.mark.parametrize("runs_in", ["g/s/p", "me/p"])
def test_of_gitlab(runs_in: str) -> None:
    environ = {
        "GITLAB_CI": "true", "CI_SERVER_HOST": "gitlab.corp", "CI_PROJECT_PATH": runs_in, "CI_MERGE_REQUEST_IID": "5",
        "CI_PIPELINE_ID": "70",
        "CI_JOB_ID": "71", "CI_JOB_URL": "https://gitlab.corp/j/71", "CI_COMMIT_SHA": "abc",
        "CI_MERGE_REQUEST_PROJECT_PATH": "g/s/p", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "me/p",
    }  # fmt: skip
    assert pull_request(environ, None) == PullRequest("gitlab.corp/g/s/p", 5, "abc", (70, 71), "https://gitlab.corp/j/71", True)


def run_before(head: str | None, event: str = "pull_request", numbers: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return the event of `on: workflow_run`; for a fork's pull request, GitHub does not include the number."""
    repo = {"full_name": head} if head else None
    told = {"event": event, "head_sha": "abc", "head_repository": repo, "repository": {"full_name": "o/r"}}
    return {"workflow_run": {**told, "pull_requests": [{"number": number} for number in numbers]}}


@pytest.mark.parametrize(("head", "foreign"), [("o/r", False), ("fork/r", True), (None, True)])
def test_of_a_run_after_another_workflows(tmp_path: Path, head: str | None, foreign: bool) -> None:
    """The safe alternative to `pull_request_target`: the head is the first workflow's, which also passes on the key."""
    environ = github(tmp_path, run_before(head), GITHUB_EVENT_NAME="workflow_run")
    assert pull_request(environ, "github.com/o/r#17") == PullRequest("github.com/o/r", 17, "abc", (900, 2), URL, foreign)


def test_of_a_run_after_another_ones_what_it_says_itself(tmp_path: Path) -> None:
    assert pull_request(github(tmp_path, run_before("o/r", numbers=(17,))), None).number == 17
    base = pull_request(github(tmp_path, run_before("fork/r", "pull_request_target")), "github.com/o/r#17")
    assert (base.head, base.untrusted) == ("", True)
    assert not pull_request(github(tmp_path, run_before("o/r", "push")), "github.com/o/r#17").untrusted
    with pytest.raises(UsageError, match="not a CI run of a pull request"):
        pull_request(github(tmp_path, run_before("o/r", numbers=(17, 18))), None)


JENKINS = {"JENKINS_URL": "https://ci.corp/", "BUILD_NUMBER": "12", "BUILD_URL": "https://ci.corp/job/r/12/", "GIT_COMMIT": "merged"}


@pytest.mark.parametrize(
    ("page", "repository"),
    [
        ("https://github.com/o/r/pull/17", "github.com/o/r"),
        ("https://git.corp:8443/o/r/pulls/17", "git.corp:8443/o/r"),
        ("https://gitlab.corp/g/s/p/-/merge_requests/17", "gitlab.corp/g/s/p"),
        ("https://bitbucket.org/o/r/pull-requests/17", "bitbucket.org/o/r"),
    ],
)
@pytest.mark.parametrize("fork", ["", "someone"])
def test_of_jenkins(page: str, repository: str, fork: str) -> None:
    environ = {**JENKINS, "CHANGE_ID": "17", "CHANGE_URL": page, **({"CHANGE_FORK": fork} if fork else {})}
    assert pull_request(environ, None) == PullRequest(repository, 17, "", (12, 0), "https://ci.corp/job/r/12/", bool(fork))


@pytest.mark.parametrize("page", ["", "https://review.corp/c/17", "no address"])
def test_a_build_of_jenkins_without_a_page_that_we_know(page: str) -> None:
    with pytest.raises(UsageError, match="not a CI run of a pull request"):
        pull_request({**JENKINS, "CHANGE_URL": page}, None)


def test_by_hand_it_is_ones_own() -> None:
    assert pull_request({}, "git.corp:8443/o/r#3") == PullRequest("git.corp:8443/o/r", 3)


def test_a_run_for_another_one_has_its_order_and_not_its_head(tmp_path: Path) -> None:
    found = pull_request(github(tmp_path, event()), "github.com/o/r#99")
    assert found == PullRequest("github.com/o/r", 99, "", (900, 2), URL, None)
    dispatched = pull_request(github(tmp_path, {}), "github.com/o/r#99")
    assert (dispatched.run, dispatched.untrusted) == ((900, 2), False)


@pytest.mark.parametrize(
    "key", ["17", "o/r#17", "github.com/o/r", "github.com/o/r#0", "github.com/o/r#x", "github.com/o/r#1/2", "a b/o/r#1", ""]
)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(UsageError, match="not the key of a pull request"):
        pull_request({}, key)


@pytest.mark.parametrize("environ", [{}, GITHUB, {"GITHUB_ACTIONS": "true"}])
def test_no_pull_request_at_all(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="not a CI run of a pull request"):
        pull_request(environ, None)


@pytest.mark.parametrize("text", ["{", "\x00"])
def test_an_event_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"GITHUB_EVENT_PATH: .*cannot be read"):
        pull_request(github(tmp_path, text), None)


def test_an_event_of_another_shape(tmp_path: Path) -> None:
    shapes: list[Any] = [[], {"pull_request": 3}, {"pull_request": {"number": "x"}}]
    for told in shapes:
        with pytest.raises(UsageError, match="not a CI run of a pull request"):
            pull_request(github(tmp_path, told), None)


def test_which_repository() -> None:
    assert repository_of(GITHUB, None) == "github.com/o/r"
    assert repository_of({}, "git.corp/o/r") == repository_of({}, "git.corp/o/r#4") == "git.corp/o/r"
    for environ, key in (({}, None), (GITHUB, "o/r")):
        with pytest.raises(UsageError, match="the repository is not known"):
            repository_of(environ, key)
