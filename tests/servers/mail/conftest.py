"""Run the mail server as its users do: as a process, with requests over sockets."""

from __future__ import annotations

import json
import os
import re
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from envctl.definition.escaping import htpasswd_hash
from tests.servers.http_client import Reply, call

LOGIN = ("mé", "s3cret wörd:" + "x" * 80)
"""The login of servers with authentication; the password is longer than bcrypt accepts."""


@dataclass(frozen=True)
class MailServer:
    """The ports of a mail server, envctl's own or Mailpit."""

    smtp_port: int
    http_port: int
    output: Path = Path(os.devnull)
    process: subprocess.Popen[bytes] | None = field(default=None, compare=False)

    def call(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return call(self.http_port, method, url, sent, headers)

    def get(self, url: str, **headers: str) -> Reply:
        return self.call("GET", url, **headers)

    def connect(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="sender.example", timeout=60)

    def send(self, raw: bytes, sender: str = "sender@example.org", recipients: Sequence[str] = ("to@example.org",)) -> str:
        """Send a message and return its id."""
        with self.connect() as connection:
            connection.ehlo()
            options = ["SMTPUTF8"] if any(not each.isascii() for each in (sender, *recipients)) else []
            assert connection.mail(sender, options)[0] == 250
            assert [connection.rcpt(recipient)[0] for recipient in recipients] == [250] * len(recipients)
            code, words = connection.data(raw)
        assert code == 250, words
        return words.decode().rpartition(" ")[2]

    def listed(self, query: str = "") -> list[dict[str, Any]]:
        """Return the summaries of all messages, or of those that match the search *query*."""
        found: list[dict[str, Any]] = self.get(f"/api/v1/search?query={query}" if query else "/api/v1/messages").json["messages"]
        return found

    def subjects(self, query: str = "") -> list[str]:
        return [message["Subject"] for message in self.listed(query)]

    def message(self, identity: str = "latest") -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/message/{identity}").json
        return found


Start = Callable[..., MailServer]


@pytest.fixture(scope="session")
def start_mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Return a function that starts mail servers; they end after the tests."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**environ: str) -> MailServer:
        output = tmp_path_factory.mktemp("mail") / "output"
        addresses = {"MP_SMTP_BIND_ADDR": "127.0.0.1:0", "MP_UI_BIND_ADDR": "127.0.0.1:0"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MP_")}
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "envctl.servers.mail"], stdout=stream, stderr=subprocess.STDOUT, env=kept | addresses | environ
            )
        processes.append(process)
        return MailServer(*_ports(process, output), output, process)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def _shared_mail(start_mail: Start) -> MailServer:
    return start_mail()


@pytest.fixture
def mail(_shared_mail: MailServer) -> MailServer:
    """Return a mail server with an empty inbox."""
    _shared_mail.call("DELETE", "/api/v1/messages")
    return _shared_mail


@pytest.fixture(scope="session")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a password file with the login."""
    path = tmp_path_factory.mktemp("passwords") / "passwords"
    path.write_text(f"{LOGIN[0]}:{htpasswd_hash(LOGIN[1])}\n", "utf-8")
    return path


@pytest.fixture(scope="session")
def guarded(start_mail: Start, passwords: Path) -> MailServer:
    """Return a mail server that requires the login."""
    return start_mail(MP_SMTP_AUTH_FILE=str(passwords), MP_UI_AUTH_FILE=str(passwords))


@pytest.fixture(scope="session")
def login() -> tuple[str, str]:
    return LOGIN


@pytest.fixture(scope="session")
def mail_server_at() -> Callable[[int, int], MailServer]:
    """Return a function that describes a mail server that is already running, by its two ports."""
    return MailServer


def _ports(process: subprocess.Popen[bytes], output: Path) -> tuple[int, int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := re.match(r"listening: SMTP (\d+), HTTP (\d+)\n", output.read_text()):
            return int(found[1]), int(found[2])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"the mail server did not start: {output.read_text()}")
