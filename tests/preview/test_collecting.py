"""gc: whose pull requests are open, and what a failed or empty answer costs; GitHub's own answers through a stand-in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from envctl.errors import EnvctlError, UsageError
from envctl.preview import preview
from envctl.preview.github import GitHub, State
from envctl.preview.lock import Lock
from envctl.preview.preview import Place, collect, collectable, open_numbers
from tests.builders import session_in

REPOSITORY = "github.com/o/r"
TOKEN = {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": "https://api.test/"}


class Answers:
    """What `requests.request` gives: path to status and body; what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], status: int = 200) -> None:
        self.given, self.status, self.asked = given, status, list[tuple[str, str, Any]]()
        monkeypatch.setattr(requests, "request", self.request)

    def request(self, method: str, url: str, json: Any = None, headers: Any = None, timeout: float = 0) -> requests.Response:
        path = url.removeprefix("https://api.test/repos/o/r")
        self.asked.append((method, path, json))
        answer = requests.Response()
        answer.status_code, answer._content = self.status, _text(self.given.get(path, {}))
        assert headers["Authorization"] == "Bearer t0ken"
        return answer


def _text(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def pages(count: int) -> dict[str, Any]:
    numbers = [{"number": number} for number in range(1, count + 1)]
    return {f"/pulls?state=open&per_page=100&page={page + 1}": numbers[page * 100 : page * 100 + 100] for page in range(count // 100 + 1)}


def numbers(folder: Path, told: str | None, environ: dict[str, str] | None = None) -> set[int]:
    return open_numbers(replace(session_in(folder), environ=environ or {}), REPOSITORY, told)


def test_open_ones_are_told_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert numbers(tmp_path, "17, 18,") == {17, 18}
    Answers(monkeypatch, pages(250))
    assert numbers(tmp_path, None, TOKEN) == set(range(1, 251))


FIRST = next(iter(pages(0)))
NO_ANSWERS: list[tuple[dict[str, Any], int]] = [
    ({}, 500), ({}, 403), (pages(0), 200), ({}, 200), ({FIRST: b"<html>"}, 200), ({FIRST: [{"id": 1}]}, 200),
]  # fmt: skip


@pytest.mark.parametrize(("given", "status"), NO_ANSWERS)
def test_a_failed_or_empty_answer_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, status: int) -> None:
    Answers(monkeypatch, given, status)
    with pytest.raises(EnvctlError):
        numbers(tmp_path, None, TOKEN)


@pytest.mark.parametrize("told", ["x", "17;18", "#17", None])
def test_who_says_nothing_clear_removes_nothing(tmp_path: Path, told: str | None) -> None:
    with pytest.raises(UsageError):
        numbers(tmp_path, told)
    with pytest.raises(EnvctlError, match="nothing is removed"):
        numbers(tmp_path, "")


class Cluster:
    """Namespaces, and the locks beside them."""

    def __init__(self, keys: dict[str, str], locks: list[Lock]) -> None:
        self.items = [{"metadata": {"name": id, "annotations": {"envctl.key": key}}} for id, key in keys.items()]
        self.locks, self.engine, self.api = self, self, self
        self._locks = locks

    def all(self, repository: str) -> list[Lock]:
        return self._locks

    def list(self, *_: Any) -> list[dict[str, Any]]:
        return self.items


def place(count: int = 1) -> Place:
    keys = {f"pr-{number}-a": f"{REPOSITORY}#{number}" for number in range(17, 17 + count)}
    others = {"pr-17-b": "github.com/o/r2#17", "shop-c": "", "job-d": "github/o/r/900"}
    return cast(Place, Cluster({**keys, **others}, [Lock("pr-16-a", f"{REPOSITORY}#16")]))


def test_what_is_collected_is_this_repositorys_and_there(tmp_path: Path) -> None:
    assert collectable(place(3), REPOSITORY, {18}) == {"pr-17-a": f"{REPOSITORY}#17", "pr-19-a": f"{REPOSITORY}#19"}


def test_many_at_once_want_a_word(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 previews would be removed"):
        list(collect(session_in(tmp_path), place(preview.AT_ONCE + 1), REPOSITORY, {1}))


def test_a_pull_requests_state_and_head(monkeypatch: pytest.MonkeyPatch) -> None:
    github = GitHub.of(TOKEN, REPOSITORY)
    assert github is not None
    Answers(monkeypatch, {"/pulls/17": {"state": "closed", "head": {"sha": "abc"}}})
    assert github.state(17) == State(False, "abc")
    with pytest.raises(EnvctlError, match="no usable answer"):
        github.state(18)


def test_without_a_token_or_for_another_host_nobody_is_asked() -> None:
    assert GitHub.of({}, REPOSITORY) is None
    assert GitHub.of({"GITHUB_TOKEN": "x"}, "git.corp/o/r") is None
    assert GitHub.of({"GITHUB_TOKEN": "x"}, REPOSITORY) == GitHub("https://api.github.com", "o/r", "x")


@pytest.mark.parametrize("there", [True, False])
def test_a_comment_takes_the_place_of_the_one_before(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    github = GitHub.of(TOKEN, REPOSITORY)
    assert github is not None
    comments = [{"id": 1, "body": "quoting <!-- m -->"}, *([{"id": 2, "body": "<!-- m -->\nold"}] if there else [])]
    answers = Answers(monkeypatch, {"/issues/17/comments?per_page=100&page=1": comments})
    github.comment(17, "<!-- m -->", "<!-- m -->\nnew")
    where = ("PATCH", "/issues/comments/2") if there else ("POST", "/issues/17/comments")
    assert answers.asked[-1] == (*where, {"body": "<!-- m -->\nnew"})
