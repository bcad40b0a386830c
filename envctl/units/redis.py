"""Valkey and Redis units: logical databases, identified by their numbers. The template is another database, marked by a key.

A client command that affects all databases (FLUSHALL) deletes the template, too; the missing key shows that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis

from envctl.units import Size, TemplateGone, UnitError

MARK = "envctl:template"
BATCH = 1000
"""The number of keys that are copied at once."""


def open_driver(properties: Mapping[str, Any]) -> RedisDriver:
    return RedisDriver(properties)


class RedisDriver:
    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._of = properties
        self._clients: dict[str, Any] = {}

    def keep(self, base: str, template: str) -> None:
        with self._errors():
            self._copy(base, template)
            self._in(template).set(MARK, "1")

    def clone(self, template: str, unit: str) -> None:
        with self._errors():
            if not self._in(template).exists(MARK):
                raise TemplateGone(f"database {template} has been emptied")
            self._copy(template, unit)
            self._in(unit).delete(MARK)

    def reset(self, template: str, unit: str) -> None:
        self.clone(template, unit)

    def size(self, unit: str) -> Size:
        """Estimate the size from the first keys if there are many."""
        with self._errors():
            client = self._in(unit)
            _, keys = client.scan(0, count=BATCH)
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.memory_usage(key)
            found = [int(size or 0) for size in pipeline.execute()]
            return Size(memory=sum(found) * int(client.dbsize()) // max(len(found), 1))

    def drop(self, unit: str) -> None:
        with self._errors():
            self._in(unit).flushdb()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _copy(self, source: str, target: str) -> None:
        self._in(target).flushdb()
        client, cursor = self._in(source), 0
        while True:
            cursor, keys = client.scan(cursor, count=BATCH)
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.copy(key, key, destination_db=int(target), replace=True)
            pipeline.execute()
            if not cursor:
                return

    def _in(self, database: str) -> Any:
        of = self._of
        if database not in self._clients:
            self._clients[database] = redis.Redis(
                host=str(of["host"]), port=int(of["port"]), db=int(database), username=of.get("username") or None,
                password=of.get("password") or None, socket_timeout=60, protocol=2,
            )  # fmt: skip
        return self._clients[database]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise UnitError(f"Redis at {self._of['host']}:{self._of['port']}: {error}") from None
