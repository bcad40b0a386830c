"""Which words of a text are addresses."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from envctl.plan.transforms.named_hosts import named


@dataclass(frozen=True)
class Server:
    name: str
    ports: list[int] = field(default_factory=list)


HOSTS = {"db": [Server("db", [5432])], "web": [Server("web")], "api": [Server("api", [80, 8000])], "orders": [Server("orders", [8000])]}


def names(text: str, key: str = "X", *, command: bool = False) -> list[str]:
    return [server.name for server in named(text, HOSTS, key=key, command=command)]


@pytest.mark.parametrize(
    "text",
    [
        "postgres://db/shop",
        "postgres://app:secret@db:5432/shop",
        "postgres://app:p@ss@db:5432/shop",
        "postgres://app:p/w@db:5432/shop",
        "postgres://a,db/shop",
        "postgres://DB/shop",
        "postgres://db.:5432/shop",
        "app:secret@db/shop",
        "app@db/shop",
        "scott/tiger@db",
        "jdbc:oracle:thin:@db:5432:XE",
        "app:secret@tcp(db:5432)/shop",
        "db:5432",
        "first:1,db:5432",
        "host=db dbname=shop",
        "Server=tcp:db,1433;Database=shop",
        "hosts=a:1,db",
        '{"host":"db","port":5432}',
        '{"dbHost": "db"}',
        '{"hosts": ["a", "db"]}',
        "{'host': 'db'}",
        '"{\\"host\\":\\"db\\"}"',
        '["postgres://db"]',
        "see http://db for more",
        "it listens on db:5432.",
    ],
)
def test_an_address(text: str) -> None:
    assert names(text) == ["db"]


@pytest.mark.parametrize(
    "text",
    [
        "db",
        "the db of the shop, and its web",
        "ask the db: it knows",
        "/srv/db",
        "/srv//db/x",
        "/db:/cache",
        "registry.example.com/db:5432",
        "db:17",
        "postgres://elsewhere/db",
        "postgres://db.example.com/shop",
        "postgres://db-2/shop",
        "postgres://my_db/shop",
        "postgres://db:secret@elsewhere/shop",
        "postgres://app:db@elsewhere/shop",
        '{"table":"db"}',
        '{"host":"elsewhere","database":"db"}',
        "host=elsewhere dbname=db user=orders",
        "SELECT * FROM orders",
        "Shop <noreply@db>",
        "noreply@db",
        "mailto:noreply@db",
        "orders:8000@elsewhere",
        "web:2024-01-31",
        "db:5432.7",
        "@api/client",
        "npm:@api/client",
        "@web please look",
        "https://example.com/react@web/dist",
        "orders:50,web:100",
    ],
)
def test_a_word_that_is_no_address(text: str) -> None:
    assert names(text) == []


@pytest.mark.parametrize("key", ["DB_HOST", "PGHOST", "url", "ADDRESS", "ADDR1", "ES_HOSTS", "UPSTREAM_SERVER"])
@pytest.mark.parametrize("text", ["db", "DB", "db.", "a,db", "db:1", "db; a"])
def test_a_variable_of_an_address(key: str, text: str) -> None:
    assert names(text, key) == ["db"]


@pytest.mark.parametrize("key", ["SERVER_NAME", "HOSTED_ZONE", "ALLOWED_HOSTS", "TRUSTED_HOST", "VIRTUAL_HOST", "NO_PROXY", "DB"])
def test_a_variable_of_something_else(key: str) -> None:
    assert names("db", key) == []
    assert names("localhost,db", key) == []


def test_a_port_that_nobody_told_of() -> None:
    assert names("web:3000") == ["web"]
    assert names("web:2024", "WEB_IMAGE") == []
    assert names("api:3000") == []


@pytest.mark.parametrize("text", ["psql -h db shop", "x --db-host db", "x --url 'db'", "wait-for db 5432", "db:5432"])
def test_a_command(text: str) -> None:
    assert names(text, "", command=True) == ["db"]
    assert names("psql -h elsewhere db", "", command=True) == []


def test_every_one_is_told_once_and_in_order() -> None:
    assert names("http://web/a http://db http://web/b http://api") == ["web", "db", "api"]
