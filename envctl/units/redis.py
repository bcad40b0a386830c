"""Valkey and Redis: a unit is a logical database, known by its number. Its template is another one, with a key that says so.

What a client does to all databases (FLUSHALL) reaches the template too; that it is gone is seen by that key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from envctl.units import TemplateGone, UnitError

MARK = "envctl:template"
BATCH = 1000
"""Keys that are copied in one go."""


def open_driver(properties: Mapping[str, Any]) -> RedisDriver:
    return RedisDriver(properties)


class RedisDriver:
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._of = properties
        self._client: Any = redis.Redis(
            host=str(properties["host"]), port=int(properties["port"]), username=properties.get("username") or None,
            password=properties.get("password") or None, socket_timeout=60, single_connection_client=True, protocol=2,
        )  # fmt: skip

    def keep(self, base: str, template: str) -> None:
        self._copy(base, template)
        self._run("SELECT", template)
        self._run("SET", MARK, "1")

    def clone(self, template: str, unit: str) -> None:
        self._run("SELECT", template)
        if not self._run("EXISTS", MARK):
            raise TemplateGone(f"database {template} has been emptied")
        self._copy(template, unit)
        self._run("SELECT", unit)
        self._run("DEL", MARK)

    def reset(self, template: str, unit: str) -> None:
        self.clone(template, unit)

    def drop(self, unit: str) -> None:
        self._run("SELECT", unit)
        self._run("FLUSHDB")

    def close(self) -> None:
        self._client.close()

    def _copy(self, source: str, target: str) -> None:
        self.drop(target)
        self._run("SELECT", source)
        cursor: Any = 0
        while True:
            cursor, keys = self._run("SCAN", cursor, "COUNT", BATCH)
            with self._client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.execute_command("COPY", key, key, "DB", target, "REPLACE")
                self._guarded(pipeline.execute)
            if not int(cursor):
                return

    def _run(self, *words: Any) -> Any:
        return self._guarded(lambda: self._client.execute_command(*words))

    def _guarded(self, work: Any) -> Any:
        try:
            return work()
        except redis.RedisError as error:
            raise UnitError(f"Redis at {self._of['host']}:{self._of['port']}: {error}") from None
