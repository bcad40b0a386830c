from __future__ import annotations

import base64
import hashlib
import json
import shlex
import struct
from urllib.parse import unquote, urlsplit

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition import escaping
from envctl.definition.escaping import FILTERS

NASTY = "p$a'\"\\ %#ü{{x}}$(id)\n`;&=@:/?\t x\r\x1a"
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def test_a_filter_is_called_like_its_function() -> None:
    assert all(getattr(escaping, name) is function for name, function in FILTERS.items())


@given(TEXTS)
def test_urlencode_survives_a_url(text: str) -> None:
    url = f"postgresql://{escaping.urlencode(text)}:{escaping.urlencode(text)}@host:5432/{escaping.urlencode(text)}"
    parts = urlsplit(url)
    assert [unquote(part) for part in (parts.username or "", parts.password or "", parts.path[1:])] == [text] * 3


def test_urlencode_leaves_the_unreserved_alone() -> None:
    assert escaping.urlencode("aZ09-._~") == "aZ09-._~"
    assert escaping.urlencode("/ü") == "%2F%C3%BC"


@given(TEXTS)
def test_sql_text_ends_where_it_should(text: str) -> None:
    written = escaping.sql_text(text)
    assert written[0] == written[-1] == "'"
    assert written[1:-1].replace("''", "") == text.replace("'", "")
    assert written[1:-1].count("'") == 2 * text.count("'")


def test_names_of_postgresql() -> None:
    assert escaping.sql_name('a "b"') == '"a ""b"""'
    assert escaping.sql_table("public.Orders") == '"public"."Orders"'


@given(TEXTS)
def test_mysql_text_is_one_line_that_reads_back(text: str) -> None:
    written = escaping.mysql_text(text)
    assert not set("\n\r\x1a") & set(written)
    assert _read_mysql(written[1:-1]) == text


def _read_mysql(written: str) -> str:
    escapes = {"n": "\n", "r": "\r", "Z": "\x1a", "\\": "\\", "0": "\0"}
    found, position = "", 0
    while position < len(written):
        sign = written[position]
        if sign == "'":
            assert written[position + 1] == "'"
        found += escapes[written[position + 1]] if sign == "\\" else sign
        position += 2 if sign in "'\\" else 1
    return found


def test_names_of_mariadb() -> None:
    assert escaping.mysql_name("a`b") == "`a``b`"
    assert escaping.mysql_table("shop.a-b") == "`shop`.`a-b`"
    assert escaping.mysql_grant("au_d%t") == "`au\\_d\\%t`"


@pytest.mark.parametrize("name", ["sql_text", "sql_name", "mysql_name", "shell"])
def test_what_cannot_hold_nul_refuses_it(name: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        FILTERS[name]("a\0b")


@given(TEXTS)
def test_hex_bytes_are_all_of_the_bytes(text: str) -> None:
    written = escaping.hex_bytes(text)
    assert bytes.fromhex(written[1:-1].replace("\\x", "")).decode() == text


@given(TEXTS)
def test_json_is_ascii_on_one_line(text: str) -> None:
    written = escaping.json(text)
    assert written.isascii()
    assert "\n" not in written
    assert json.loads(written) == text


@given(TEXTS)
def test_shell_is_one_word(text: str) -> None:
    assert shlex.split(escaping.shell(text)) == [text]


def test_rabbitmq_hash_is_salt_and_digest() -> None:
    raw = base64.b64decode(escaping.rabbitmq_hash(NASTY))
    assert raw[4:] == hashlib.sha256(raw[:4] + NASTY.encode()).digest()


def test_mosquitto_hash_is_pbkdf2() -> None:
    _, kind, rounds, salt, digest = escaping.mosquitto_hash(NASTY).split("$")
    expected = hashlib.pbkdf2_hmac("sha512", NASTY.encode(), base64.b64decode(salt), int(rounds))
    assert (kind, base64.b64decode(digest)) == ("7", expected)


def test_sha256_of_an_access_list() -> None:
    assert escaping.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_htpasswd_hash_is_salted_sha1_of_all_bytes() -> None:
    password = NASTY + "x" * 100
    found = base64.b64decode(escaping.htpasswd_hash(password).removeprefix("{SSHA}"))
    assert found[:20] == hashlib.sha1(password.encode() + found[20:]).digest()
    assert found[20:]


@pytest.mark.parametrize("name", ["rabbitmq_hash", "mosquitto_hash", "htpasswd_hash", "nats_password"])
def test_hashes_are_the_same_every_time_and_differ_by_password(name: str) -> None:
    assert FILTERS[name]("$2a$x") == FILTERS[name]("$2a$x")
    assert FILTERS[name]("$2a$x") != FILTERS[name]("$2a$y")


def test_nats_gets_a_password_as_it_is_unless_it_looks_like_a_hash() -> None:
    assert escaping.nats_password(NASTY) == escaping.hex_bytes(NASTY)
    written = bytes.fromhex(escaping.nats_password("$2a$04$x")[1:-1].replace("\\x", ""))
    assert written.startswith(b"$2a$04$")
    assert len(written) == 60
    assert bcrypt.checkpw(b"$2a$04$x", written)


def test_derived_secrets_follow_from_secret_and_purpose() -> None:
    assert escaping.derived("a", "b") == escaping.derived("a", "b")
    assert len({escaping.derived("a", "b"), escaping.derived("a", "c"), escaping.derived("b", "b")}) == 3


def test_options_are_arguments() -> None:
    values = {"jit": False, "max_connections": 9}
    assert escaping.options(values, "-c") == ["-c", "jit=false", "-c", "max_connections=9"]
    assert escaping.options(values, "--") == ["--jit=false", "--max_connections=9"]
    assert escaping.options({}, "-c") == []


def test_words_are_quoted_each() -> None:
    assert escaping.words(["id", 'a"b'], "sql_name") == '"id", "a""b"'


@pytest.mark.parametrize(("text", "expected"), [("a b", False), ("a\nb", True), ("a\r", True)])
def test_multiline(text: str, expected: bool) -> None:
    assert escaping.multiline(text) is expected


def test_kafka_gets_a_request_of_the_size_it_says() -> None:
    topic = {"name": "orders.created", "partitions": 3, "config": {"cleanup.policy": "compact", "x": True}}
    request = _bytes(escaping.kafka_create_topic(topic))
    size, api, version = struct.unpack_from(">ihh", request)
    assert (size, api, version) == (len(request) - 4, 19, 4)
    assert b"\0\x0eorders.created" + struct.pack(">ih", 3, -1) in request
    assert b"\0\1x\0\4true" in request


def test_kafka_is_left_to_choose_what_the_topic_does_not_say() -> None:
    request = _bytes(escaping.kafka_create_topic({"name": "t"}))
    assert b"\0\1t" + struct.pack(">ihii", -1, -1, 0, 0) in request


def _bytes(printf: str) -> bytes:
    return bytes.fromhex(printf.replace("\\x", ""))
