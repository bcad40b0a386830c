"""Tests of masking: secrets are hidden in every encoding, and words that merely contain one stay unchanged."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.session.mask import Mask

ODD = 'it\'s "a" $x\\y/z ü+%~2'


def test_secrets_are_hidden_the_longest_first() -> None:
    assert Mask(["secret", "secret word"])("a secret word, the secret") == "a ***, the ***"


def test_short_ones_would_be_in_every_word() -> None:
    assert Mask(["abc", "a", ""])("abc a") == "abc a"


def test_nothing_hidden_changes_nothing() -> None:
    assert Mask()("x") == "x"


def test_two_masks_know_nothing_of_each_other() -> None:
    one, other = Mask(), Mask()
    one.add(["secret"])
    assert other("secret") == "secret"


@pytest.mark.parametrize(
    "written",
    [
        str, json.dumps, lambda text: json.dumps(text, ensure_ascii=False), repr, shlex.quote, quote, quote_plus,
        lambda text: quote(text, safe=""), lambda text: quote(text, safe="").lower().replace("%c3%bc", "%c3%bc"),
        lambda text: text.replace("'", "''"), lambda text: text.replace("\\", "\\\\").replace("'", "\\'"),
        lambda text: text.replace("$", "$$"), lambda text: f"postgresql://user:{quote(text, safe='')}@host/db",
    ],
)  # fmt: skip
def test_every_spelling_is_hidden(written: Callable[[str], str]) -> None:
    shown = Mask([ODD])(f"before {written(ODD)} after")
    assert "***" in shown
    assert "x" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("user", ["", "a:", "ab:", "abc:", "longer name:"])
def test_a_header_is_no_way_out(user: str) -> None:
    secret = "hunter2-and-more"
    header = base64.b64encode(f"{user}{secret}".encode()).decode()
    shown = Mask([secret])(f"Authorization: Basic {header}")
    assert shown.startswith("Authorization: Basic ")
    assert header[-8:-4] not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("parcels", "***"),
        ("the 'parcels', said", "the '***', said"),
        ("parcelservice of subparcels", "parcelservice of subparcels"),
        ("mariadb -uroot -pparcels app", "mariadb -uroot -p*** app"),
        ("postgres://u:parcels@h/parcelsdb", "postgres://u:***@h/parcelsdb"),
    ],
)
def test_words_are_not_torn(text: str, shown: str) -> None:
    assert Mask(["parcels"])(text) == shown


def test_what_is_no_word_is_hidden_inside_one() -> None:
    drawn = "0a1b2c3d4e5f60718293"
    assert Mask([drawn])(f"x{drawn}y") == "x***y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:pw@h:1/v", "amqp://u:***@h:1/v"),
        ("amqp://:pw@h", "amqp://:***@h"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("http://u:${var.p}@h", "http://u:${var.p}@h"),
    ],
)
def test_passwords_of_urls_are_hidden_though_nobody_named_them(text: str, shown: str) -> None:
    assert Mask()(text) == shown


def test_the_lines_of_a_key_are_hidden_one_by_one() -> None:
    mask = Mask(["-----BEGIN-----\nfirst line+1\nend"])
    assert mask("  | first line+1") == "  | ***"


@given(st.text(min_size=4), st.text(max_size=20))
def test_any_secret_is_found_by_itself(secret: str, other: str) -> None:
    mask = Mask([secret, other])
    assert mask(f" {secret} ").strip(" *") == "" or secret in "*" * 40 or not secret.strip(" *")
