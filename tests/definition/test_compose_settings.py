"""Tests of reading a server's settings from a Compose file, in each format of settings."""

from __future__ import annotations

import pytest

from envctl.definition.compose_settings import setting


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("port 6380\r\nrequirepass crlf\r\n", "requirepass", "crlf"),
        ("# port 1\nport 2\nport 3", "port", "3"),
        ("listener 1883\nlistener 9001", "^listener", "1883"),
        ('requirepass "a b"', "requirepass", "a b"),
        ("requirepass {x}", "requirepass", "{x}"),
        ("requirepass it's", "requirepass", "it's"),
        ("port=5433#x", "port", "5433#x"),
        ("listen 8080;", "listen", "8080"),
        ("report_port 1\nports: 2", "port", None),
        ("[client]\nport=1", "port", None),
        ("[mysqld]\nport=1\n[mysqld-11.8]\nport=2\n[mysql]\nport=3", "port", "2"),
        ("authorization: {user: a, password: 'b c'}", "authorization/password", "b c"),
        ("cluster {\n authorization {\n  user = x\n }\n}", "authorization/user", "x"),
        ("user: x", "authorization/user", None),
    ],
)
def test_a_setting(text: str, name: str, value: str | None) -> None:
    assert setting(text, name) == value
