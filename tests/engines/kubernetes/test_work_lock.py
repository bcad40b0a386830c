"""The lock of machines that work on one instance, on a simulated API server: waiting, dead holders, failures, and a lost lock."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envctl.engines import MadeElsewhere
from envctl.engines.kubernetes.api import Api, ApiError
from envctl.engines.kubernetes.work_lock import alone, alone_from_the_start, begun, done
from envctl.errors import EnvctlError
from envctl.instance.labels import INSTANCE, UNFINISHED, WORKER, WORKING
from envctl.instance.machine import process_mark
from envctl.instance.record import now
from envctl.keeper.cluster.pod_status import maker
from tests.processes import until

ID = "env-123456"
HERE = f"store@{process_mark()}"
ELSEWHERE = "other@machine.boot.4026531836:7:100"
DIED = f"other@{process_mark().rpartition(':')[0]}:0"
"""The mark of a process on this machine that no longer exists: its start time matches no running process."""
GATE = [{"conditionType": "envctl/seeded"}]


class Secrets:
    """An API server with one record's Secret, and pods; it refuses a patch with an old version or a wrong `test` value."""

    def __init__(self, **annotations: str) -> None:
        content = base64.b64encode(json.dumps({"id": ID, "project": "/p", "forwards": [], "word": "published"}).encode()).decode()
        meta = {"name": f"{ID}-instance", "labels": {INSTANCE: ID}, "annotations": dict(annotations), "resourceVersion": "1"}
        self.item: dict[str, Any] | None = {"metadata": meta, "data": {"record.json": content}}
        self.pods: dict[str, dict[str, Any]] = {}
        self.refuses = 0
        self.written = 0
        self.before_write: Callable[[], None] = lambda: None

    @property
    def annotations(self) -> dict[str, str]:
        assert self.item is not None
        found: dict[str, str] = self.item["metadata"]["annotations"]
        return found

    def get(self, version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        if self.refuses:
            raise ApiError(self.refuses, "no")
        return self.item and json.loads(json.dumps(self.item))

    def list(self, version: str, kind: str, namespace: str, selector: str) -> list[dict[str, Any]]:
        return list(self.pods.values())

    def request(self, method: str, path: str, body: Any, content: str) -> None:
        assert method == "PATCH"
        if "/pods/" in path:
            pod = self.pods[path.split("/")[-2]]
            pod["status"]["conditions"] = [*pod["status"].get("conditions", []), *body["status"]["conditions"]]
            return
        self.before_write()
        self.written += 1
        if self.item is None:
            raise ApiError(404, "not found")
        if content == "application/json-patch+json":
            test, change = body
            if self.annotations.get(test["path"].rpartition("/")[2]) != test["value"]:
                raise ApiError(422, "the test failed")
            self.change(**{change["path"].rpartition("/")[2]: change["value"]})
            return
        assert content == "application/merge-patch+json"
        if body["metadata"]["resourceVersion"] != self.item["metadata"]["resourceVersion"]:
            raise ApiError(409, "changed")
        self.change(**body["metadata"]["annotations"])

    def change(self, **annotations: str) -> None:
        assert self.item is not None
        self.annotations.update(annotations)
        self.item["metadata"]["resourceVersion"] = str(int(self.item["metadata"]["resourceVersion"]) + 1)


def never(*words: object) -> None:
    raise AssertionError(f"it waits, or loses: {words}")


def begin(secrets: Secrets, pause: Callable[[], None] = never, every: float = 60.0, lost: Callable[[EnvctlError], None] = never) -> Any:
    return alone(cast(Api, secrets), "ns", ID, HERE, pause, lost, every)


def make(secrets: Secrets, every: float = 60.0) -> Any:
    return alone_from_the_start(cast(Api, secrets), "ns", ID, HERE, never, every)


def pod(name: str, **condition: str) -> dict[str, Any]:
    conditions = [{"type": "envctl/seeded", **condition}] if condition else []
    meta = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"readinessGates": GATE}, "status": {"conditions": conditions}}


def test_nobody_works_on_it() -> None:
    secrets = Secrets()
    with begin(secrets) as found:
        assert found.document["word"] == "published"
        assert secrets.annotations[WORKER] == HERE
        assert secrets.annotations[WORKING] > now()
    assert secrets.annotations == {WORKER: HERE, WORKING: "done", UNFINISHED: ""}


def test_another_machine_is_waited_for() -> None:
    secrets, waits = Secrets(**{WORKER: ELSEWHERE, WORKING: now(30)}), []

    def pause() -> None:
        waits.append(1)
        secrets.change(**{WORKING: "done"})

    with begin(secrets, pause):
        assert secrets.annotations[WORKER] == HERE
    assert waits == [1]


@pytest.mark.parametrize(
    "told",
    [
        {WORKER: DIED, WORKING: now(3600)},
        {WORKER: ELSEWHERE, WORKING: "failed"},
        {WORKER: ELSEWHERE, WORKING: "2020-01-01T00:00:00Z"},
        {WORKER: HERE, WORKING: now(30)},
        {WORKER: ELSEWHERE},
        {WORKING: now(3600)},
    ],
)
def test_who_has_ended_is_not_waited_for(told: dict[str, str]) -> None:
    with begin(Secrets(**told)):
        pass


@pytest.mark.parametrize("ahead", [-7200.0, -30.0, 30.0, 7200.0])
def test_who_is_silent_is_dead_by_our_own_clock(monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    """The clock of the other machine may be wrong."""
    secrets, clock, waits = Secrets(**{WORKER: ELSEWHERE, WORKING: now(ahead)}), [1000.0], []
    monkeypatch.setattr("envctl.engines.kubernetes.work_lock.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def pause() -> None:
        waits.append(1)
        clock[0] += 20
        if len(waits) == 2:
            secrets.change(**{WORKING: now(ahead + 1)})

    with begin(secrets, pause):
        pass
    assert len(waits) == 5, "20 s, heard of again after 40 s, silent for 60 s"


def test_a_failure_is_said_to_who_comes() -> None:
    secrets = Secrets()
    with pytest.raises(KeyError), begin(secrets):
        raise KeyError
    assert secrets.annotations[WORKING] == "failed"


def test_who_is_quicker_has_it() -> None:
    secrets, waits = Secrets(), []

    def quicker() -> None:
        secrets.before_write = lambda: None
        secrets.change(**{WORKER: ELSEWHERE, WORKING: now(30)})

    def pause() -> None:
        waits.append(secrets.annotations[WORKER])
        raise TimeoutError

    secrets.before_write = quicker
    with pytest.raises(TimeoutError), begin(secrets, pause):
        pass
    assert waits == [ELSEWHERE]


def test_an_instance_that_is_gone_is_nobodys() -> None:
    secrets = Secrets()
    secrets.item = None
    with begin(secrets) as found:
        assert found is None
    assert secrets.written == 0


def test_where_nobody_may_look_there_is_nothing_to_lock() -> None:
    """An account without rights gets status 403 even for a namespace that does not exist."""
    secrets = Secrets()
    secrets.refuses = 403
    with begin(secrets) as found:
        assert found is None
    secrets.refuses = 500
    with pytest.raises(ApiError), begin(secrets):
        pass


def test_one_that_goes_while_it_is_waited_for_is_said() -> None:
    secrets = Secrets(**{WORKER: ELSEWHERE, WORKING: now(30)})

    def pause() -> None:
        secrets.item = None

    with pytest.raises(MadeElsewhere, match=f"{ID} is gone: another machine has removed it"), begin(secrets, pause):
        pass


def test_it_is_heard_of_while_it_works() -> None:
    secrets, heard = Secrets(), threading.Event()
    with begin(secrets, every=0.01):
        secrets.before_write = heard.set
        until(heard.is_set, what="another word of it")
    assert secrets.annotations[WORKING] == "done", "which is the last word"


def test_who_has_lost_it_says_nothing_more_and_is_told_at_once() -> None:
    secrets, told = Secrets(), list[EnvctlError]()
    lost = begin(secrets, every=0.01, lost=told.append)
    lost.__enter__()
    secrets.change(**{WORKER: ELSEWHERE, WORKING: "theirs"})
    until(lambda: told, what="a renewal that is refused")
    with pytest.raises(EnvctlError, match=f"another machine has started to work on {ID}"):
        lost.__exit__(None, None, None)
    assert secrets.annotations[WORKING] == "theirs"


def test_who_has_lost_it_since_the_last_renewal_is_told_in_the_end() -> None:
    secrets, told = Secrets(), list[EnvctlError]()
    with pytest.raises(EnvctlError, match="another machine has started"), begin(secrets, lost=told.append):
        secrets.change(**{WORKER: ELSEWHERE, WORKING: "theirs"})
    assert secrets.annotations[WORKING] == "theirs"


def test_from_the_start_the_record_says_it_itself() -> None:
    secrets = Secrets(**begun(HERE))
    with make(secrets) as found:
        assert found is None
        secrets.change(**done(HERE))
    assert secrets.written == 0, "no request more than the record's own"


def test_a_failed_start_says_nothing_before_it_is_removed() -> None:
    """A machine that waits would otherwise take over an instance that is about to be removed."""
    secrets = Secrets(**begun(HERE))
    with pytest.raises(KeyError), make(secrets):
        raise KeyError
    assert secrets.annotations[WORKING] > now()
    assert secrets.written == 0


def test_a_long_start_is_heard_of_and_ended() -> None:
    secrets = Secrets(**begun(HERE))
    with make(secrets, every=0.01):
        until(lambda: secrets.written > 0, what="a renewal")
    assert secrets.annotations[WORKING] == "done"


def test_of_what_another_machine_makes_nothing_is_said() -> None:
    secrets = Secrets(**{**begun(ELSEWHERE), WORKING: "theirs"})
    with pytest.raises(MadeElsewhere), make(secrets):
        raise MadeElsewhere("other")
    assert secrets.annotations[WORKING] == "theirs"


def test_what_the_first_machine_has_not_finished_is_marked_before_it_is_forgotten() -> None:
    secrets = Secrets(**begun(DIED))
    secrets.pods = {"a": pod("a"), "b": pod("b", status="True"), "c": pod("c", status="False", reason="Seeding", message="third")}
    with begin(secrets):
        assert [maker(each) for each in secrets.pods.values()] == [DIED, "", "third"]
    assert secrets.annotations[UNFINISHED] == ""
