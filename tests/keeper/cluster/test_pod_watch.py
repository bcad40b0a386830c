"""Tests of watching pods: a list, a watch, and recovery when either fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

from envctl.keeper.cluster import pod_watch
from envctl.keeper.cluster.pod_status import uid
from envctl.keeper.cluster.pod_watch import PodWatch
from envctl.keeper.cluster.protocol import Object, Refused
from tests.keeper.cluster.apiserver import pod
from tests.processes import until

END = None


class Transport:
    """A fake connection to an API server: `fetch` lists *pods*, `watch` yields the events that a test puts into *told*."""

    def __init__(self) -> None:
        self.pods: list[Object] = []
        self.refusing = False
        self.lists = 0
        self.told: Queue[Object | Exception | None] = Queue()
        self.asked: list[dict[str, str]] = []

    def fetch(self, path: str, **query: str) -> Any:
        self.lists += 1
        self.asked.append({"path": path, **query})
        if self.refusing:
            raise Refused(503, "not now")
        return {"items": list(self.pods), "metadata": {"resourceVersion": str(self.lists)}}

    def watch(self, path: str, silence: float, opened: Callable[[Callable[[], None]], None], **query: str) -> Iterator[Object]:
        self.asked.append({"path": path, **query})
        opened(lambda: self.told.put(END))
        while (told := self.told.get(timeout=20)) is not END:
            if isinstance(told, Exception):
                raise told
            yield told


class Watching:
    def __init__(self, api: Transport) -> None:
        self.api, self.changes = api, list[list[str]]()
        self.watch: PodWatch[Object] = PodWatch(api, "ns", "a=b", lambda pod: pod, self._changed)
        self.thread = threading.Thread(target=self.watch.follow)

    def _changed(self, pods: list[Object]) -> None:
        self.changes.append([uid(pod) for pod in pods])


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Transport:
    monkeypatch.setattr(pod_watch, "PAUSES", (0.01,))
    return Transport()


@pytest.fixture
def watching(api: Transport) -> Iterator[Watching]:
    found = Watching(api)
    yield found
    found.watch.stop()
    if found.thread.ident is not None:
        found.thread.join(20)
        assert not found.thread.is_alive()


def test_a_list_is_followed_by_a_watch_from_there(api: Transport, watching: Watching) -> None:
    api.pods = [pod("a")]
    watching.thread.start()
    api.told.put({"type": "ADDED", "object": pod("b")})
    api.told.put({"type": "MODIFIED", "object": pod("a", ready=False)})
    api.told.put({"type": "DELETED", "object": pod("b")})
    until(lambda: len(watching.changes) == 4)
    assert watching.changes == [["uid-a"], ["uid-b"], ["uid-a"], []]
    assert watching.watch.known == {"uid-a": pod("a", ready=False)}
    path = "/api/v1/namespaces/ns/pods"
    assert api.asked == [
        {"path": path, "labelSelector": "a=b"},
        {"path": path, "labelSelector": "a=b", "resourceVersion": "1", "allowWatchBookmarks": "true"},
    ]


def test_whoever_has_listed_already_goes_on_from_there(api: Transport, watching: Watching) -> None:
    api.pods = [pod("a")]
    version = watching.watch.list()
    assert list(watching.watch.known) == ["uid-a"]
    watching.thread = threading.Thread(target=watching.watch.follow, args=(version,))
    watching.thread.start()
    until(lambda: len(api.asked) == 2)
    assert (api.lists, api.asked[1]["resourceVersion"]) == (1, version)


def test_a_list_that_fails_is_the_callers(api: Transport, watching: Watching) -> None:
    api.refusing = True
    with pytest.raises(Refused, match="not now"):
        watching.watch.list()


@pytest.mark.parametrize("end", [END, Refused(410, "too old"), OSError("reset"), ValueError("no JSON")], ids=repr)
def test_whatever_ends_a_watch_they_are_listed_anew(api: Transport, watching: Watching, end: Exception | None) -> None:
    api.pods = [pod("a"), pod("b")]
    watching.thread.start()
    until(lambda: watching.changes)
    api.pods = [pod("b"), pod("c")]  # no event reports the removed pod
    api.told.put(end)
    until(lambda: len(watching.changes) == 2)
    assert list(watching.watch.known) == ["uid-b", "uid-c"]
    assert watching.watch.error == ""


def test_what_is_known_stays_while_nothing_is_heard(api: Transport, watching: Watching) -> None:
    api.pods = [pod("a")]
    watching.thread.start()
    until(lambda: watching.changes)
    api.refusing = True
    api.told.put(OSError("reset"))
    until(lambda: watching.watch.error == "not now")
    until(lambda: api.lists > 3)
    assert list(watching.watch.known) == ["uid-a"]
    api.refusing = False
    until(lambda: watching.watch.error == "")


def test_a_doubt_lists_anew(api: Transport, watching: Watching) -> None:
    watching.thread.start()
    until(lambda: len(api.asked) == 2)
    watching.watch.doubt()
    until(lambda: api.lists == 2)


def test_a_change_that_cannot_be_taken_does_not_end_it(api: Transport) -> None:
    def fail(pods: list[Object]) -> None:
        raise KeyError("mistake")

    watch: PodWatch[Object] = PodWatch(api, "ns", "a=b", lambda pod: pod, fail)
    thread = threading.Thread(target=watch.follow)
    thread.start()
    until(lambda: api.lists > 2 and "mistake" in watch.error)
    watch.stop()
    thread.join(20)
    assert not thread.is_alive()
