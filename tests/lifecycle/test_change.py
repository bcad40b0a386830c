"""What a reset has done, and what it has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from envctl.instance.record import DataRecord, ServiceRecord
from envctl.instance.units import Unit
from envctl.lifecycle import change, units
from envctl.lifecycle.change import Reset
from tests.builders import record_of, session_in

SERVICES = {
    "cache": ServiceRecord("redis", unit=Unit("redis")),
    "db": ServiceRecord("postgres", unseeded=True),
    "vault": ServiceRecord("redis", unseeded=True, unit=Unit("redis")),
    "api": ServiceRecord("service"),
    "seeded": ServiceRecord("postgres", data=True),
}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((), Reset(("cache", "vault", "seeded"), ("db",))),
        (("db",), Reset(("db",))),
        (("cache",), Reset(("cache",))),
    ],
)
def test_what_nobody_has_seeded_is_left_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Sequence[str], expected: Reset
) -> None:
    anew: list[str] = []
    monkeypatch.setattr(units, "reset", lambda found, use: [])
    monkeypatch.setattr(change, "_made_anew", lambda session, record, names, *_: anew.extend(names))
    session = session_in(tmp_path)
    record = replace(record_of(services=SERVICES), data={"cache": DataRecord("1", set_up=True)})
    session.store.create(record)

    assert change.reset(session, record, wanted, checked=False) == expected
    assert anew == [name for name in ("db", "seeded") if name in expected.done]
