"""Tests of every probe with servers that are ready, not yet ready, refusing, silent, closing, or of another protocol."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from envctl.readiness import LoginRefused, NotReady, Target

PROTOCOLS = ["http", "postgres", "mysql", "redis", "nats", "amqp", "kafka", "mqtt", "memcached", "s3", "smtp"]
PASSWORD = "päss$'\n"


def probe(name: str, target: Target) -> None:
    import_module(f"envctl.readiness.{name}").probe(target)


def not_ready(name: str, target: Target) -> str:
    with pytest.raises((NotReady, OSError)) as caught:
        probe(name, target)
    return str(caught.value)


def closes_at_once(connection: socket.socket) -> None:
    """Close the connection at once, like docker-proxy before the server behind it listens."""


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stays_silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def speaks_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\xff\x00SSH-2.0 what is this?\r\n\r\n" * 20)
    stays_silent(connection)


def says_half(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\0")


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("server", [closes_at_once, resets, speaks_nonsense, says_half])
def test_a_server_that_is_none_is_not_ready(name: str, server: Any, servers: Any) -> None:
    assert not_ready(name, servers.target(server, timeout=1.0))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_silent_server_does_not_hang_a_probe(name: str, servers: Any) -> None:
    assert not_ready(name, servers.target(stays_silent, timeout=0.2))


@pytest.mark.parametrize("name", [*PROTOCOLS, "tcp"])
def test_nobody_listening_is_not_ready(name: str, servers: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    properties = servers.target(stays_silent).properties
    assert not_ready(name, Target("127.0.0.1", port, properties=properties, timeout=0.5))


# TCP, logs, commands and queries


@pytest.mark.parametrize("server", [stays_silent, speaks_nonsense])
def test_tcp_is_ready_when_the_connection_lasts(server: Any, servers: Any) -> None:
    probe("tcp", servers.target(server))


@pytest.mark.parametrize("server", [closes_at_once, resets])
def test_tcp_is_not_ready_when_the_connection_ends(server: Any, servers: Any) -> None:
    assert not_ready("tcp", servers.target(server, lasting=2.0)) == "it closed the connection"


def test_a_port_is_found_by_its_name(servers: Any) -> None:
    other = servers.start(stays_silent)
    main = servers.start(closes_at_once)
    target = Target("127.0.0.1", main, {"main": main, "other": other}, options={"port": "other"})
    probe("tcp", target)


def test_an_unknown_port_is_answered_with_the_known_ones(servers: Any) -> None:
    assert "known: main" in not_ready("tcp", servers.target(stays_silent, options={"port": "admin"}))


@pytest.mark.parametrize(
    "printed",
    [
        b"\x1b[32mlistening\x1b[0m on 8000\n",
        b"10%\rlistening\r\n",
        b"\x1b]0;title\x07listening\n",
        b"listening\n",
        b"loading\x1b[2K\x1b[1Glistening\r\r\n",
        b"\x1b[01;31m\x1b[Klistening\x1b[m\x1b[K on 8000\n",
        b"\x1b(B\xef\xbb\xbflistening\x1b(B",
        b"\0\f\xc2\x9b32mlistening\n",
    ],
)
def test_a_log_line_is_matched_as_people_see_it(printed: bytes) -> None:
    probe("log", Target("", 0, options={"log": r"^listening( on \d+)?$"}, logs=lambda: [printed]))


def test_log_waits_for_its_line() -> None:
    target = Target("", 0, options={"log": r"^ready in \d+ ms$"}, logs=lambda: [b"starting\nrea", b"dy in 12 ms\n"])
    probe("log", target)
    assert "no log line" in not_ready("log", Target("", 0, options={"log": "never"}, logs=lambda: [b"starting\n"]))


def test_a_line_is_one_line_of_whatever_length() -> None:
    """A pattern never matches across a line break, wherever the log is split."""
    for pieces in ([b"a\nb\n"], [b"a", b"\nb\n"], [b"a\n", b"b"]):
        assert "no log line" in not_ready("log", Target("", 0, options={"log": r"a\sb"}, logs=partial(list, pieces)))
    probe("log", Target("", 0, options={"log": "^ab$"}, logs=lambda: [b"x\na", b"b"]))


def test_an_expression_that_backtracks_ends() -> None:
    """Python's regular expressions would not finish this search in any acceptable time."""
    assert "no log line" in not_ready("log", Target("", 0, options={"log": "^(a+)+$"}, logs=lambda: [b"a" * 100_000 + b"!\n"]))


def test_a_broken_expression_is_named() -> None:
    assert "not a valid regular expression" in not_ready("log", Target("", 0, options={"log": "("}))


def test_command_is_ready_when_it_ends_with_nought() -> None:
    seen: list[Sequence[str]] = []

    def run(argv: Sequence[str]) -> tuple[int, str]:
        seen.append(argv)
        return 0, ""

    probe("command", Target("", 0, options={"command": "check --name 'a b'"}, run=run))
    probe("command", Target("", 0, options={"command": ["check", "$x"]}, run=run))
    assert seen == [["check", "--name", "a b"], ["check", "$x"]]


def test_a_failing_command_says_its_last_line() -> None:
    target = Target("", 0, options={"command": "check"}, run=lambda argv: (3, "first\nno table yet\n"))
    assert not_ready("command", target) == "check ended with 3: no table yet"


def test_a_query_goes_to_the_probe_of_the_kind(servers: Any) -> None:
    asked: list[bytes] = []
    target = servers.target(redis_server(asked), options={"probe": "redis", "query": "GET 'a b'"})
    probe("query", target)
    assert asked[-1] == b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n"


def test_a_kind_without_queries_says_so() -> None:
    assert "`query` is for databases" in not_ready("query", Target("", 0, options={"probe": "nats", "query": "x"}))


# HTTP


def http_server(status: str, paths: list[str] | None = None) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        request = connection.recv(65536).decode()
        if paths is not None:
            paths.append(request.split()[1])
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    return serve


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", None),
        ("302 Found", None),
        ("404 No", 404),
        ("503 No", [200, 503]),
        ("500 No", "any"),
        ("204 No", "204"),
    ],
)
def test_http_takes_the_status_it_expects(status: str, expected: Any, servers: Any) -> None:
    paths: list[str] = []
    probe("http", servers.target(http_server(status, paths), options={"path": "healthz", "status": expected}))
    assert paths == ["/healthz"]


@pytest.mark.parametrize(("status", "expected"), [("404 Not Found", None), ("200 OK", 204), ("503 Busy", [200, 204])])
def test_http_says_the_status_it_got(status: str, expected: Any, servers: Any) -> None:
    target = servers.target(http_server(status), options={"path": "/x", "status": expected})
    assert not_ready("http", target) == f"GET /x answered {status}"


# Protocols that envctl implements


def redis_server(asked: list[bytes], answer: bytes = b"+OK\r\n") -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            asked.append(data)
            connection.sendall(answer)

    return serve


def test_redis_logs_in_byte_for_byte(servers: Any) -> None:
    asked: list[bytes] = []
    probe("redis", servers.target(redis_server(asked)))
    password = PASSWORD.encode()
    assert asked == [
        b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$%d\r\n%s\r\n" % (len(password), password),
        b"*1\r\n$4\r\nPING\r\n",
    ]


@pytest.mark.parametrize("words", ["LOADING Redis is loading the dataset in memory", "WRONGPASS invalid"])
def test_redis_hands_on_the_words_of_the_server(words: str, servers: Any) -> None:
    assert not_ready("redis", servers.target(redis_server([], f"-{words}\r\n".encode()))) == words


def nats_server(answer: bytes, received: list[bytes]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b'INFO {"server_id":"x","auth_required":true}\r\n')
        received.append(connection.recv(65536))
        connection.sendall(answer)

    return serve


def test_nats_logs_in_and_pings(servers: Any) -> None:
    received: list[bytes] = []
    probe("nats", servers.target(nats_server(b"PONG\r\n", received)))
    verb, _, rest = received[0].partition(b" ")
    assert verb == b"CONNECT"
    assert json.loads(rest.splitlines()[0])["pass"] == PASSWORD
    assert received[0].endswith(b"\r\nPING\r\n")


def test_a_name_without_a_password_is_a_token_of_nats(servers: Any) -> None:
    received: list[bytes] = []
    probe("nats", servers.target(nats_server(b"PONG\r\n", received), properties={"username": "tok"}))
    assert json.loads(received[0].splitlines()[0].partition(b" ")[2])["auth_token"] == "tok"


def test_nats_says_why_it_refuses(servers: Any) -> None:
    assert "Authorization" in not_ready("nats", servers.target(nats_server(b"-ERR 'Authorization Violation'\r\n", [])))


def kafka_server(brokers: int, controller: int) -> Callable[[socket.socket], None]:
    def text(value: str) -> bytes:
        return struct.pack(">h", len(value)) + value.encode()

    def serve(connection: socket.socket) -> None:
        for body in [struct.pack(">hi", 0, 0), metadata()]:
            size = struct.unpack(">i", connection.recv(4))[0]
            correlation = connection.recv(size)[4:8]
            connection.sendall(struct.pack(">i", len(body) + 4) + correlation + body)

    def metadata() -> bytes:
        broker = struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">i", 9092) + struct.pack(">h", -1)
        return struct.pack(">ii", 0, brokers) + broker * brokers + text("cluster") + struct.pack(">ii", controller, 0)

    return serve


def test_kafka_is_ready_with_a_broker_and_a_controller(servers: Any) -> None:
    probe("kafka", servers.target(kafka_server(1, 1)))


@pytest.mark.parametrize(("brokers", "controller"), [(0, 1), (1, -1)])
def test_kafka_without_a_controller_is_not_ready(brokers: int, controller: int, servers: Any) -> None:
    assert "no controller" in not_ready("kafka", servers.target(kafka_server(brokers, controller)))


def mqtt_server(code: int, received: list[bytes]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        received.append(connection.recv(65536))
        connection.sendall(bytes([0x20, 2, 0, code]))
        stays_silent(connection)

    return serve


def test_mqtt_logs_in_byte_for_byte(servers: Any) -> None:
    received: list[bytes] = []
    probe("mqtt", servers.target(mqtt_server(0, received)))
    password = PASSWORD.encode()
    assert received[0].endswith(b"\0\2me" + struct.pack(">H", len(password)) + password)
    assert received[0][1] == len(received[0]) - 2


def test_mqtt_takes_a_long_password(servers: Any) -> None:
    received: list[bytes] = []
    target = servers.target(mqtt_server(0, received), properties={"username": "me", "password": "x" * 300})
    probe("mqtt", target)
    low, high = received[0][1], received[0][2]
    assert (low & 0x7F) + 128 * high == len(received[0]) - 3


def test_mqtt_names_the_refusal(servers: Any) -> None:
    assert not_ready("mqtt", servers.target(mqtt_server(5, []))) == "login refused: not authorised"


def test_memcached_tells_its_version(servers: Any) -> None:
    def serve(connection: socket.socket) -> None:
        assert connection.recv(100) == b"version\r\n"
        connection.sendall(b"VERSION 1.6.38\r\n")

    probe("memcached", servers.target(serve))


def smtp_server(code: int, logins: list[str]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"220 fake ESMTP\r\n")
        while line := connection.recv(65536).decode():
            if line.startswith("EHLO"):
                connection.sendall(b"250-fake\r\n250 AUTH PLAIN\r\n")
            elif line.startswith("AUTH"):
                logins.append(base64.b64decode(line.split()[2]).decode())
                connection.sendall(f"{code} words\r\n".encode())
            else:
                connection.sendall(b"221 bye\r\n")

    return serve


def test_smtp_logs_in_byte_for_byte(servers: Any) -> None:
    logins: list[str] = []
    probe("smtp", servers.target(smtp_server(235, logins)))
    assert logins == [f"\0me\0{PASSWORD}"]


def test_smtp_asks_the_web_page_as_well(servers: Any) -> None:
    smtp, web = servers.start(smtp_server(235, [])), servers.start(http_server("503 Not yet"))
    target = Target("127.0.0.1", smtp, {"smtp": smtp, "web": web}, properties={"username": "me", "password": "x"})
    assert "503" in not_ready("smtp", target)


def test_smtp_says_why_it_refuses(servers: Any) -> None:
    assert not_ready("smtp", servers.target(smtp_server(535, []))) == "login refused: 535 words"


# Protocols for which envctl uses a library


def postgres_server(queries: list[str], failure: str = "", code: str = "57P03") -> Callable[[socket.socket], None]:
    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">i", len(body) + 4) + body

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        if failure:
            connection.sendall(message(b"E", b"SFATAL\0C" + code.encode() + b"\0M" + failure.encode() + b"\0\0"))
            return
        ready = message(b"Z", b"I")
        connection.sendall(message(b"R", struct.pack(">i", 0)) + ready)
        while data := connection.recv(65536):
            if data[:1] == b"Q":
                queries.append(data[5:-1].decode())
                connection.sendall(message(b"C", b"SELECT 0\0") + ready)

    return serve


def test_postgres_runs_its_query(servers: Any) -> None:
    queries: list[str] = []
    probe("postgres", servers.target(postgres_server(queries)))
    probe("postgres", servers.target(postgres_server(queries), options={"query": "select count(*) from t"}))
    assert queries == ["select 1", "select count(*) from t"]


def test_postgres_hands_on_the_words_of_the_server(servers: Any) -> None:
    words = "the database system is starting up"
    assert not_ready("postgres", servers.target(postgres_server([], words))) == words


@pytest.mark.parametrize(
    ("name", "refusing", "busy"),
    [
        ("postgres", lambda: postgres_server([], "no", "28P01"), lambda: postgres_server([], "no", "57P03")),
        ("mysql", lambda: mysql_server([], "no", 1045), lambda: mysql_server([], "no", 1129)),
        ("postgres", lambda: postgres_server([], "no", "28000"), lambda: postgres_server([], "no", "3D000")),
        ("redis", lambda: redis_server([], b"-WRONGPASS no\r\n"), lambda: redis_server([], b"-LOADING no\r\n")),
        ("redis", lambda: redis_server([], b"-NOAUTH no\r\n"), lambda: redis_server([], b"-MASTERDOWN no\r\n")),
        ("redis", lambda: redis_server([], b"-ERR AUTH no\r\n"), lambda: redis_server([], b"-ERR no\r\n")),
        ("nats", lambda: nats_server(b"-ERR 'Authorization Violation' no\r\n", []), lambda: nats_server(b"-ERR 'no'\r\n", [])),
        ("mqtt", lambda: mqtt_server(5, []), lambda: mqtt_server(3, [])),
    ],
)
def test_a_refused_login_is_told_from_a_server_that_is_not_ready(name: str, refusing: Any, busy: Any, servers: Any) -> None:
    with pytest.raises(LoginRefused, match="no"):
        probe(name, servers.target(refusing()))
    with pytest.raises(NotReady) as caught:
        probe(name, servers.target(busy()))
    assert not isinstance(caught.value, LoginRefused)


def mysql_server(commands: list[bytes], failure: str = "", code: int = 1130, tls: bool = False) -> Callable[[socket.socket], None]:
    okay = b"\x00\x00\x00\x02\x00\x00\x00"

    def packet(number: int, body: bytes) -> bytes:
        return struct.pack("<I", len(body))[:3] + bytes([number]) + body

    def greeting() -> bytes:
        capabilities = 0x000FF7DF | (0x0800 if tls else 0)
        low, high = capabilities & 0xFFFF, capabilities >> 16
        salt = b"12345678", b"123456789012\0"
        body = b"\x0a11.8-fake\0" + struct.pack("<I", 1) + salt[0] + b"\0" + struct.pack("<HBHHB", low, 45, 2, high, 21)
        return body + bytes(10) + salt[1] + b"mysql_native_password\0"

    def serve(connection: socket.socket) -> None:
        if failure:
            connection.sendall(packet(0, b"\xff" + struct.pack("<H", code) + failure.encode()))
            return
        connection.sendall(packet(0, greeting()))
        commands.append(connection.recv(65536))
        connection.sendall(packet(2, okay))
        while data := connection.recv(65536):
            commands.append(data[5:])
            connection.sendall(packet(1, okay))

    return serve


def test_mysql_logs_in_and_runs_its_query(servers: Any) -> None:
    commands: list[bytes] = []
    probe("mysql", servers.target(mysql_server(commands), options={"query": "select 2"}))
    digest = hashlib.sha1(PASSWORD.encode()).digest()
    salted = hashlib.sha1(b"12345678123456789012" + hashlib.sha1(digest).digest()).digest()
    assert bytes(one ^ other for one, other in zip(digest, salted, strict=True)) in commands[0]
    assert b"select 2" in commands


def test_mysql_encrypts_where_the_server_can_and_reads_no_certificates_for_that(servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        pytest.fail("certificates were read")

    monkeypatch.setattr("ssl.create_default_context", refuse)
    plain: list[bytes] = []
    probe("mysql", servers.target(mysql_server(plain)))
    asked: list[bytes] = []
    not_ready("mysql", servers.target(mysql_server(asked, tls=True)))
    length, flags = struct.unpack("<I", asked[0][:3] + b"\0")[0], struct.unpack("<I", asked[0][4:8])[0]
    assert (length, bool(flags & 0x0800)) == (32, True), "what begins TLS, and has no user in it"


def test_mysql_that_closes_is_not_ready(servers: Any) -> None:
    assert not_ready("mysql", servers.target(lambda connection: None)) == "it closed the connection"


def test_mysql_hands_on_the_words_of_the_server(servers: Any) -> None:
    assert not_ready("mysql", servers.target(mysql_server([], "Host is blocked"))) == "Host is blocked"


def s3_server(status: str, body: str, headers: list[str]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        headers.extend(connection.recv(65536).decode().splitlines())
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())

    return serve


def test_s3_signs_its_request(servers: Any) -> None:
    headers: list[str] = []
    probe("s3", servers.target(s3_server("200 OK", "<ListAllMyBucketsResult/>", headers)))
    signature = next(line for line in headers if line.lower().startswith("authorization:"))
    assert "Credential=me/" in signature
    assert "/us-east-1/s3/aws4_request" in signature


def test_s3_without_credentials_is_asked_without_a_signature(servers: Any) -> None:
    headers: list[str] = []
    probe("s3", servers.target(s3_server("200 OK", "<ListAllMyBucketsResult/>", headers), properties={"url": "http://x"}))
    assert [line for line in headers if line.lower().startswith("authorization:")] == []


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_s3_with_other_credentials_is_there(servers: Any, code: str) -> None:
    with pytest.raises(LoginRefused):
        probe("s3", servers.target(s3_server("403 Forbidden", f"<Error><Code>{code}</Code></Error>", [])))


def test_s3_that_asks_for_credentials_nobody_knows_is_there(servers: Any) -> None:
    refusal = s3_server("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>", [])
    probe("s3", servers.target(refusal, properties={"url": "http://x"}))


def test_s3_has_other_reasons_for_a_refusal_than_credentials(servers: Any) -> None:
    with pytest.raises(NotReady, match="ListBuckets answered 403 RequestTimeTooSkewed") as caught:
        probe("s3", servers.target(s3_server("403 Forbidden", "<Error><Code>RequestTimeTooSkewed</Code></Error>", [])))
    assert not isinstance(caught.value, LoginRefused)


def test_s3_names_the_code_of_the_refusal(servers: Any) -> None:
    target = servers.target(s3_server("403 Forbidden", "<Error><Code>SignatureDoesNotMatch</Code></Error>", []))
    assert not_ready("s3", target) == "ListBuckets answered 403 SignatureDoesNotMatch"
