"""Tests of removing previews of closed pull requests: which pull requests are open, and failed or empty answers of GitHub."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from envctl.errors import EnvctlError, UsageError
from envctl.lifecycle.down import Removed
from envctl.preview import collecting
from envctl.preview import github as github_module
from envctl.preview.collecting import collect, collectable, open_numbers
from envctl.preview.github import GitHub, State
from envctl.preview.lock import Lock, Locks
from envctl.preview.preview import Place
from envctl.session import Session
from tests.builders import session_in
from tests.preview.leases import Leases

REPOSITORY = "github.com/o/r"
TOKEN = {"GITHUB_TOKEN": "t0ken", "GITHUB_API_URL": "https://api.test/"}


class Answers:
    """A replacement of `requests.request`: it returns the body in *given* for each path, and records the requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], status: int = 200) -> None:
        self.given, self.status, self.asked = given, status, list[tuple[str, str, Any]]()
        monkeypatch.setattr(requests, "request", self.request)
        self.pauses = list[float]()
        monkeypatch.setattr(github_module, "time", SimpleNamespace(sleep=self.pauses.append))

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


class Cluster(Leases):
    """A fake cluster with namespaces and locks."""

    def __init__(self, keys: dict[str, str]) -> None:
        super().__init__()
        self.namespaces = [{"metadata": {"name": id, "annotations": {"envctl.key": key}}} for id, key in keys.items()]
        self.api = self

    def list(self, version: str, kind: str, *rest: Any) -> list[dict[str, Any]]:
        return self.namespaces if kind == "Namespace" else super().list(version, kind, "")

    def locked(self, number: int, **more: Any) -> Lock:
        lock = Lock(f"pr-{number}-a", f"{REPOSITORY}#{number}", "somebody", (10, 1), "https://ci/10", **more)
        return Locks(cast(Any, self), "locks").write(lock) or pytest.fail("the lock was there")


def place(count: int = 1) -> Place:
    keys = {f"pr-{number}-a": f"{REPOSITORY}#{number}" for number in range(17, 17 + count)}
    others = {"pr-17-b": "github.com/o/r2#17", "shop-c": "", "job-d": "github/o/r/900"}
    cluster = Cluster({**keys, **others})
    return Place(cast(Any, None), cast(Any, cluster), cast(Any, None), Locks(cast(Any, cluster), "locks"))


def cluster_of(there: Place) -> Cluster:
    return cast(Cluster, there.engine)


def locks_of(there: Place) -> dict[str, Lock]:
    return {lock.id: lock for lock in there.locks.all(REPOSITORY)}


def test_what_is_collected_is_this_repositorys_and_there() -> None:
    there = place(3)
    cluster_of(there).locked(16)
    assert collectable(there, REPOSITORY, {18}, locks_of(there)) == {"pr-17-a": f"{REPOSITORY}#17", "pr-19-a": f"{REPOSITORY}#19"}


def test_what_a_command_works_on_is_not_collected() -> None:
    """The pull request may have been opened after the list of open ones was made."""
    there = place(2)
    cluster_of(there).locked(17, holder="somebody", renewed=time.time())
    cluster_of(there).locked(18, holder="somebody who has died", renewed=time.time() - 999)
    assert list(collectable(there, REPOSITORY, {1}, locks_of(there))) == ["pr-18-a"]


def test_many_at_once_want_a_word(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 previews would be removed"):
        list(collect(session_in(tmp_path), place(collecting.AT_ONCE + 1), REPOSITORY, "1"))


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> dict[str, EnvctlError | None]:
    """Return the removals by id: None, or the error with which a test lets the removal fail."""
    asked: dict[str, EnvctlError | None] = {"pr-17-a": None}

    def remove(session: Session, engine: Any, name: str, id: str, why: str) -> Removed:
        if error := asked.setdefault(id, None):
            raise error
        return Removed(name, id, why)

    monkeypatch.setattr(collecting, "remove_by_label", remove)
    return asked


def test_what_cannot_be_removed_keeps_no_other(tmp_path: Path, gone: dict[str, EnvctlError | None]) -> None:
    gone["pr-17-a"] = EnvctlError("a webhook refuses")
    found = list(collect(session_in(tmp_path), place(2), REPOSITORY, "1"))
    assert [(each.id, each.left) for each in found] == [("pr-17-a", ("a webhook refuses",)), ("pr-18-a", ())]


RUN = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "900", "GITHUB_RUN_ATTEMPT": "1"}


def test_a_rerun_of_what_came_before_the_sweep_comes_too_late(tmp_path: Path, gone: dict[str, EnvctlError | None]) -> None:
    there = place()
    cluster_of(there).locked(17)
    list(collect(replace(session_in(tmp_path), environ=RUN), there, REPOSITORY, "1"))
    lock = there.locks.read("pr-17-a")
    assert lock is not None
    assert (lock.closed, lock.order, lock.url) == (True, (900, 1), "https://github.com/o/r/actions/runs/900")


@pytest.mark.parametrize("run", [{}, RUN])
def test_what_has_changed_since_the_question_stays(
    tmp_path: Path, gone: dict[str, EnvctlError | None], monkeypatch: pytest.MonkeyPatch, run: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    there = place()
    monkeypatch.setattr(collecting, "open_numbers", lambda *_: cluster_of(there).locked(17) and {1})
    assert list(collect(replace(session_in(tmp_path), environ=run), there, REPOSITORY, "1")) == []
    assert "another command has changed it: it stays" in capsys.readouterr().err
    assert not there.locks.read("pr-17-a").closed  # type: ignore[union-attr]


def test_locks_that_refuse_nobody_any_more_go_too(tmp_path: Path, gone: dict[str, EnvctlError | None]) -> None:
    there, old = place(), time.time() - collecting.REMEMBERED - 60
    for number, closed, renewed in ((1, True, old), (2, True, old), (3, True, old + 3600), (4, False, old), (5, True, 0.0)):
        cluster_of(there).locked(number, closed=closed, renewed=renewed)
    list(collect(session_in(tmp_path), there, REPOSITORY, "1"))
    assert [lock.key.rpartition("#")[2] for lock in there.locks.all(REPOSITORY)] == ["1", "3", "4", "5", "17"]


def test_a_lock_that_was_written_since_stays() -> None:
    there = place()
    seen = cluster_of(there).locked(2, closed=True, renewed=1.0)
    there.locks.write(replace(seen, closed=False))
    there.locks.remove(seen)
    assert there.locks.read(seen.id) is not None


def test_one_that_github_has_left_out_of_its_list_stays(
    tmp_path: Path, gone: dict[str, EnvctlError | None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a pull request of page 1 closes before page 2 is read, the first one of page 2 is on neither page."""
    said = {"/pulls/17": {"state": "open", "head": {"sha": "a"}}, "/pulls/18": {"state": "closed", "head": {"sha": "b"}}}
    Answers(monkeypatch, {**pages(3), **said})
    session = replace(session_in(tmp_path), environ=TOKEN)
    assert [each.id for each in collect(session, place(2), REPOSITORY)] == ["pr-18-a"]
    assert f"{REPOSITORY}#17 is open: it stays" in capsys.readouterr().err


def test_a_pull_requests_state_and_head(monkeypatch: pytest.MonkeyPatch) -> None:
    github = GitHub.of(TOKEN, REPOSITORY)
    assert github is not None
    Answers(monkeypatch, {"/pulls/17": {"state": "closed", "head": {"sha": "abc"}}})
    assert github.state(17) == State(False, "abc")
    with pytest.raises(EnvctlError, match="no usable answer"):
        github.state(18)


@pytest.mark.parametrize("error", [503, requests.ConnectionError("reset by peer")])
def test_a_moment_without_an_answer_does_not_fail_a_preview(monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    github = GitHub.of(TOKEN, REPOSITORY)
    assert github is not None
    answers = Answers(monkeypatch, {"/pulls/17": {"state": "open", "head": {"sha": "abc"}}})

    def fails_twice(*words: Any, **more: Any) -> requests.Response:
        answer = answers.request(*words, **more)
        if len(answers.asked) <= 2:
            if isinstance(error, Exception):
                raise error
            answer.status_code = error
        return answer

    monkeypatch.setattr(requests, "request", fails_twice)
    assert github.state(17) == State(True, "abc")
    assert (len(answers.asked), answers.pauses) == (3, list(github_module.PAUSES))


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (502, 3)])
def test_a_refusal_is_told_in_githubs_words(monkeypatch: pytest.MonkeyPatch, status: int, asked: int) -> None:
    github = GitHub.of(TOKEN, REPOSITORY)
    assert github is not None
    answers = Answers(monkeypatch, {"/pulls/17": {"message": "Resource not accessible by integration"}}, status)
    with pytest.raises(EnvctlError, match=f"GitHub answers {status}: Resource not accessible") as error:
        github.state(17)
    assert len(answers.asked) == asked
    assert ("pull-requests: read" in error.value.hint) is (status != 502)


def test_what_was_written_is_not_written_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    github = GitHub.of(TOKEN, REPOSITORY)
    assert github is not None
    answers = Answers(monkeypatch, {"/issues/17/comments?per_page=100&page=1": []}, 502)
    with pytest.raises(EnvctlError, match="GitHub answers 502"):
        github._ask("POST", "/issues/17/comments", {"body": "x"})
    assert len(answers.asked) == 1


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
