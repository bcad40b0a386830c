"""Valkey and Redis: the keys of a logical database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from envctl.units import UnitError
from envctl.watched_data import MOST, WHOLE, fingerprint

BATCH = 1000


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the keys. Raise UnitError if the server does not answer."""
    client = redis.Redis(
        host=str(properties["host"]), port=int(properties["port"]), username=properties.get("username") or None,
        password=properties.get("password") or None, db=int(unit or properties.get("database") or 0), socket_timeout=60, protocol=2,
    )  # fmt: skip
    try:
        with client:
            total: Any = client.dbsize()
            return {"keys": {WHOLE: str(total)} if total > MOST else _keys(client)}
    except redis.RedisError as error:
        raise UnitError(f"Redis at {properties['host']}:{properties['port']}: {error}") from None


def _keys(client: Any) -> dict[str, str]:
    keys = list(client.scan_iter(count=BATCH))
    found: dict[str, str] = {}
    for first in range(0, len(keys), BATCH):
        batch = keys[first : first + BATCH]
        with client.pipeline(transaction=False) as pipeline:
            for key in batch:
                pipeline.dump(key)
            dumped = pipeline.execute()
        found |= {key.decode(errors="backslashreplace"): fingerprint(value) for key, value in zip(batch, dumped, strict=True)}
    return found
