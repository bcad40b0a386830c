"""Tests of the PostgreSQL driver's own database, which it connects to."""

from __future__ import annotations

from typing import Any

import pytest

from envctl.units import postgres


class Connection:
    """A fake connection to the database *to* of a server that has *databases*."""

    def __init__(self, databases: set[str], to: str, said: list[str]) -> None:
        self._databases, self._to, self._said = databases, to, said

    def run(self, sql: str, **values: Any) -> list[list[str]]:
        self._said.append(f"{self._to}: {sql.partition(' TEMPLATE')[0]}")
        if sql.startswith("SELECT FROM pg_database"):
            return [[]] if values["home"] in self._databases else []
        return [["170000"]]

    def close(self) -> None:
        self._said.append(f"{self._to}: closed")


@pytest.fixture
def said() -> list[str]:
    return []


def opened(monkeypatch: pytest.MonkeyPatch, said: list[str], databases: set[str], *declared: str) -> None:
    monkeypatch.setattr(postgres, "_connected", lambda _, database: Connection(databases, database, said))
    postgres.open_driver({"databases": {name: {} for name in declared}, "host": "h", "port": 1})


def test_it_is_at_home_in_postgres(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    opened(monkeypatch, said, {"app"}, "app")

    assert said == ["postgres: SHOW server_version_num"]


def test_where_tests_use_postgres_it_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    opened(monkeypatch, said, {"postgres"}, "postgres")

    assert "template1: CREATE DATABASE envctl_home" in said
    assert said[-2:] == ["template1: closed", "envctl_home: SHOW server_version_num"]


def test_it_makes_that_once(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    opened(monkeypatch, said, {"postgres", "envctl_home"}, "postgres")

    assert not any("CREATE" in each for each in said)


class Making(Connection):
    """A fake connection to a server that still executes CREATE DATABASE commands of a killed client, until they are terminated."""

    def __init__(self, making: list[str]) -> None:
        super().__init__(set(), "postgres", [])
        self.making, self.databases = making, set[str]()

    def run(self, sql: str, **values: Any) -> list[list[str]]:
        if "pg_terminate_backend" in sql and "begin" in values:
            ended = [query for query in self.making if query.startswith(tuple(values["begin"]))]
            self.making = [query for query in self.making if query not in ended]
            return [["t"]] * len(ended)
        if sql.startswith("SELECT datname"):
            return [[name] for name in self.databases & {*values["databases"]}]
        return [["170000"]]


def test_what_a_killed_client_is_still_making_is_not_there_later(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Making(['CREATE DATABASE "app_lease_1" TEMPLATE "app"', 'CREATE DATABASE "app_lease_12" TEMPLATE "app"'])
    driver = postgres.PostgresDriver(server)
    driver.drop("app_lease_1")
    assert server.making == ['CREATE DATABASE "app_lease_12" TEMPLATE "app"']
