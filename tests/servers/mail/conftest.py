"""A mail server as its users have it: a process, spoken to over sockets."""

from __future__ import annotations

import http.client
import json
import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class MailServer:
    """Where a mail server is, ours or MailDev."""

    smtp_port: int
    web_port: int
    output: Path = Path(os.devnull)
    process: subprocess.Popen[bytes] | None = field(default=None, compare=False)

    def call(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=60)
        try:
            connection.request(method, url, headers=dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, url: str, **headers: str) -> Reply:
        return self.call("GET", url, headers)

    def connect(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="Sender.Example", timeout=60)

    def send(self, raw: bytes, sender: str = "sender@example.org", recipients: Sequence[str] = ("to@example.org",)) -> None:
        with self.connect() as connection:
            connection.sendmail(sender, list(recipients), raw)

    def listed(self) -> dict[str, dict[str, Any]]:
        """What is in the inbox, by the ids."""
        return {message["id"]: message for message in self.get("/email").json}

    def wait_for(self, number: int, known: Collection[str] = ()) -> list[dict[str, Any]]:
        """So many messages besides those that are known: MailDev takes a message before it has read it."""
        deadline = time.monotonic() + 60
        while True:
            found = [message for identity, message in self.listed().items() if identity not in known]
            if len(found) >= number:
                assert len(found) == number
                return found
            assert time.monotonic() < deadline, f"{len(found)} messages instead of {number}"
            time.sleep(0.02)

    def take(self, raw: bytes, **envelope: Any) -> dict[str, Any]:
        """Send a message; what the API lists of it."""
        known = self.listed()
        self.send(raw, **envelope)
        return self.wait_for(1, known)[0]


Start = Callable[..., MailServer]


@pytest.fixture(scope="session")
def start_mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts mail servers, and ends them after the tests."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**environ: str) -> MailServer:
        output = tmp_path_factory.mktemp("mail") / "output"
        command = [sys.executable, "-m", "envctl.servers.mail", "--host", "127.0.0.1", "--smtp-port", "0", "--web-port", "0"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAILDEV_")}
        with output.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env={**kept, **environ})
        processes.append(process)
        return MailServer(*_ports(process, output), output, process)

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def mail_server_at() -> Callable[[int, int], MailServer]:
    """A mail server that somebody else runs, by its two ports."""
    return MailServer


@pytest.fixture(scope="session")
def _shared_mail(start_mail: Start) -> MailServer:
    return start_mail()


@pytest.fixture
def mail(_shared_mail: MailServer) -> MailServer:
    """A mail server with an empty inbox."""
    _shared_mail.call("DELETE", "/email/all")
    return _shared_mail


def _ports(process: subprocess.Popen[bytes], output: Path) -> tuple[int, int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = output.read_text().splitlines(keepends=True)
        if lines and lines[0].startswith("listening on ") and lines[0].endswith("\n"):
            words = lines[0].replace(",", "").split()
            return int(words[words.index("SMTP") + 1]), int(words[words.index("web") + 1])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"the mail server did not start: {output.read_text()}")
