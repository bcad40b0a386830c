"""PostgreSQL: in which database the driver is at home."""

from __future__ import annotations

from typing import Any

import pytest

from envctl.units import postgres


class Connection:
    """To a server that has the *databases*."""

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
