"""Machines that work on one instance, on an API server that is played: one at a time, the dead, the failed, and what is handed over."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from envctl.engines import Handover, Left, MadeElsewhere
from envctl.engines.kubernetes.api import Api, ApiError
from envctl.engines.kubernetes.work_lock import alone, alone_from_the_start, begun
from envctl.instance.labels import INSTANCE, WORKER, WORKING
from envctl.instance.machine import process_mark
from envctl.instance.record import now
from tests.processes import until

ID = "env-123456"
HERE = f"store@{process_mark()}"
ELSEWHERE = "other@machine.boot.4026531836:7:100"
DIED = f"other@{process_mark().rpartition(':')[0]}:0"
"""A process of this machine that has begun at another time."""


class Secrets:
    """An API server with the Secret of one record; a version that is not the last one is refused."""

    def __init__(self, **told: str) -> None:
        content = base64.b64encode(json.dumps({"id": ID, "project": "/p", "forwards": [], "word": "published"}).encode()).decode()
        meta = {"name": f"{ID}-instance", "labels": {INSTANCE: ID}, "annotations": dict(told), "resourceVersion": "1"}
        self.item: dict[str, Any] | None = {"metadata": meta, "data": {"record.json": content}}
        self.before_write: Callable[[], None] = lambda: None

    @property
    def told(self) -> dict[str, str]:
        assert self.item is not None
        return dict(self.item["metadata"]["annotations"])

    def get(self, version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.item and json.loads(json.dumps(self.item))

    def request(self, method: str, path: str, body: dict[str, Any], content: str) -> None:
        self.before_write()
        if self.item is None:
            raise ApiError(404, "not found")
        meta, asked = self.item["metadata"], body["metadata"]
        if asked.get("resourceVersion", meta["resourceVersion"]) != meta["resourceVersion"]:
            raise ApiError(409, "changed")
        meta["annotations"].update(asked["annotations"])
        meta["resourceVersion"] = str(int(meta["resourceVersion"]) + 1)


def begin(secrets: Secrets, pause: Callable[[], None] | None = None, every: float = 60.0) -> Any:
    def never() -> None:
        raise AssertionError("it waits")

    return alone(cast(Api, secrets), "ns", ID, HERE, pause or never, every)


def test_nobody_has_worked_on_it() -> None:
    secrets = Secrets()
    with begin(secrets) as found:
        assert found == Handover()
        assert secrets.told[WORKER] == HERE
        assert secrets.told[WORKING] > now()
    assert secrets.told == {WORKER: HERE, WORKING: "done"}


def test_another_machine_is_waited_for_and_hands_over_what_it_has_published() -> None:
    secrets = Secrets(**{WORKER: ELSEWHERE, WORKING: now(30)})
    waits = []

    def pause() -> None:
        waits.append(1)
        assert secrets.item is not None
        secrets.item["metadata"]["annotations"][WORKING] = "done"

    with begin(secrets, pause) as found:
        assert found.left is Left.DONE
        assert found.record.document["word"] == "published"
    assert waits == [1]


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ({WORKER: ELSEWHERE, WORKING: now(-1)}, Left.DIED),
        ({WORKER: DIED, WORKING: now(30)}, Left.DIED),
        ({WORKER: ELSEWHERE, WORKING: "failed"}, Left.FAILED),
        ({WORKER: ELSEWHERE, WORKING: ""}, Left.DIED),
    ],
)
def test_who_has_died_or_failed_is_not_waited_for(told: dict[str, str], left: Left) -> None:
    with begin(Secrets(**told)) as found:
        assert found.left is left
        assert found.record is not None


def test_what_this_state_did_last_it_knows_itself() -> None:
    with begin(Secrets(**{WORKER: f"store@{DIED.partition('@')[2]}", WORKING: "failed"})) as found:
        assert found == Handover()
    with begin(Secrets(**{WORKER: f"store@{ELSEWHERE.partition('@')[2]}", WORKING: "failed"})) as found:
        assert found.left is Left.FAILED, "the same path on another machine"


def test_a_failure_is_said_to_who_comes() -> None:
    secrets = Secrets()
    with pytest.raises(KeyError), begin(secrets):
        raise KeyError
    assert secrets.told[WORKING] == "failed"


def test_who_is_quicker_has_it() -> None:
    secrets, waits = Secrets(), []

    def quicker() -> None:
        assert secrets.item is not None
        secrets.before_write = lambda: None
        secrets.item["metadata"]["annotations"] |= {WORKER: ELSEWHERE, WORKING: now(30)}
        secrets.item["metadata"]["resourceVersion"] = "7"

    def pause() -> None:
        waits.append(secrets.told[WORKER])
        raise TimeoutError

    secrets.before_write = quicker
    with pytest.raises(TimeoutError), begin(secrets, pause):
        pass
    assert waits == [ELSEWHERE]


def test_an_instance_that_is_gone_is_nobodys() -> None:
    secrets = Secrets()
    secrets.item = None
    with begin(secrets) as found:
        assert found == Handover()


def test_it_is_heard_of_while_it_works() -> None:
    secrets, heard = Secrets(), threading.Event()
    with begin(secrets, every=0.01):
        secrets.before_write = heard.set
        until(heard.is_set, what="another word of it")
        secrets.before_write = lambda: None
    until(lambda: secrets.told[WORKING] == "done", what="the last word is that it has ended")


def test_from_the_start_the_record_says_it_itself() -> None:
    secrets = Secrets(**begun(HERE))
    with alone_from_the_start(cast(Api, secrets), "ns", ID) as found:
        assert found == Handover()
    assert secrets.told == {WORKER: HERE, WORKING: secrets.told[WORKING]}
    assert secrets.told[WORKING] > now(), "`done` comes with the record that is written last"
    with pytest.raises(KeyError), alone_from_the_start(cast(Api, secrets), "ns", ID):
        raise KeyError
    assert secrets.told[WORKING] == "failed"


def test_of_what_another_machine_makes_nothing_is_said() -> None:
    secrets = Secrets(**begun(ELSEWHERE))
    with pytest.raises(MadeElsewhere), alone_from_the_start(cast(Api, secrets), "ns", ID):
        raise MadeElsewhere("other")
    assert secrets.told[WORKING] > now()
