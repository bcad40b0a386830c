"""Send the same mails and requests to Mailpit and to envctl's mail server, and compare their answers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.servers.mail.conftest import MailServer

pytestmark = pytest.mark.docker

IMAGE = "axllent/mailpit:v1.33.1"
RECIPIENTS = ("to@example.org", "hidden@example.org")
SEARCHES = [
    "to:to@example.org", "from:ANN", "subject:files", 'subject:"only html"', "cc:doe", '"Doe, Jane"', "bcc:hidden", "reply-to:re@",
    "addressed:bob", "message-id:1@x", "grüße", "GRÜSSE", "-from:ann", "!from:ann subject:bare", "is:unread", "-is:read",
    "has:attachment", "https://x.example", "data.csv", "two three", "three two", '"three two"', "100%_",
    "to:", "-to:", "nowhere",
]  # fmt: skip


def built(**headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    given = {"From": "Ann <ann@example.org>", "To": "to@example.org", "Date": "Sun, 22 Nov 2026 10:00:00 +0100", "Message-ID": "<1@x>"}
    for name, value in {**given, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
        message[name] = value
    return message


def plain() -> bytes:
    message = built(Subject="Hello", Cc='"Doe, Jane" <cc@example.org>, Bob <bob@example.org>', Reply_To="re@example.org")
    message.set_content("first line\n\n.dot\n..dots 100%_\nlast line\n")
    return message.as_bytes()


def alternatives() -> bytes:
    message = built(Subject="Zażółć gęślą jaźń, déjà vu, " + "日本語" * 20)
    message.set_content("Grüße\n")
    page = (
        "<html><head><title>x</title></head><body><h1>Hi</h1><p>Gr&uuml;&szlig;e <a href='http://x.example/?a=1&amp;b=2'>go</a></p></body>"
    )
    message.add_alternative(page, subtype="html")
    return message.as_bytes()


def attached() -> bytes:
    message = built(Subject="files")
    message.set_content("see the files")
    message.add_attachment(bytes(range(256)) * 4, maintype="application", subtype="pdf", filename="Übersicht – 2026 (1).pdf")
    message.add_attachment("a,b\n1,ü\n", subtype="csv", filename="data.csv")
    message.add_attachment("same name\n", filename="data.csv")
    message.add_attachment("ü;ö\n", charset="iso-8859-1", filename="latin.txt")
    message.add_attachment("<p>page</p>", subtype="html", filename="page.html")
    message.add_attachment(built(Subject="inner"))
    return message.as_bytes()


def inline() -> bytes:
    message = built(Subject="inline")
    message.set_content("text")
    message.add_alternative("<p>Hi <img src='cid:logo@x'> <img src=cid:b@x></p>", subtype="html")
    part: Any = message.get_payload(1)
    part.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<logo@x>")
    part.add_related(b"\x89PNG2", maintype="image", subtype="png", cid="<b@x>", filename="b.png", disposition="inline")
    return message.as_bytes()


def alone() -> bytes:
    message = built(Subject="a PDF by itself")
    message.set_content(b"%PDF", maintype="application", subtype="pdf", filename="x.pdf")
    return message.as_bytes()


def only_html() -> bytes:
    message = built(Subject="only html")
    message.set_content("<p>One two</p><table><tr><td>three</td><td>four</td></tr></table><script>x()</script>", subtype="html")
    return message.as_bytes()


def mixed_texts() -> bytes:
    message = built(Subject="two texts")
    message.set_content("one\n")
    message.make_mixed()
    message.attach(_text("two\n"))
    return message.as_bytes()


def _text(text: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message.set_content(text)
    return message


MAILS = [
    plain(), alternatives(), attached(), inline(), alone(), only_html(), mixed_texts(),
    b"Subject: bare\r\n\r\n",
    "From: a@b.c\r\nSubject: latin\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGrüße\r\n".encode("latin-1"),
    "From: Ännchen <a@b.c>\r\nTo: undisclosed-recipients:;\r\nSubject: raw ütf8 €\r\nX-A: 1\r\nx-a: 2\r\n two\r\n"
    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nList-Unsubscribe: <mailto:u@x.org>, <https://x.org/u>\r\n\r\nbödy".encode(),
    b"From: =?utf-8?q?J=C3=B6rg?= =?iso-8859-1?q?_M=FCller?= <j@x>\r\nTo: \"A \\\"B\\\"\" <to@example.org>\r\n"
    b"Subject: folded\r\n  =?utf-8?b?w7w=?=\r\n\tand more\r\nDate: nonsense\r\n\r\ntext\r\n.\r\n",
    b"From: nobody\r\nSubject: =?utf-8?q?b?=\r\nContent-Type: text/html\r\n\r\n<p>caf\xc3\xa9",
]  # fmt: skip


@pytest.fixture(scope="module")
def mailpit(mail_server_at: Callable[[int, int], MailServer]) -> Iterator[MailServer]:
    """Yield Mailpit in a container."""
    if not shutil.which("docker") or _docker("image", "inspect", IMAGE).returncode:
        pytest.skip(f"no Docker daemon with {IMAGE} here")
    options = ["--publish", "127.0.0.1::1025", "--publish", "127.0.0.1::8025", "--env", "MP_DISABLE_VERSION_CHECK=1"]
    container = _docker("run", "--detach", "--rm", *options, IMAGE).stdout.strip()
    try:
        server = mail_server_at(_port(container, 1025), _port(container, 8025))
        _wait_for(server)
        yield server
    finally:
        _docker("rm", "--force", container)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def _port(container: str, inside: int) -> int:
    return int(_docker("port", container, f"{inside}/tcp").stdout.split()[0].rpartition(":")[2])


def _wait_for(server: MailServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.get("/readyz")
            server.connect().close()
            return
        except (OSError, EOFError):
            assert time.monotonic() < deadline, "Mailpit did not start"
            time.sleep(0.05)


Request = tuple[str, str, Any]


@pytest.fixture
def both(mailpit: MailServer, mail: MailServer) -> tuple[MailServer, MailServer]:
    """Return Mailpit and envctl's mail server, both with the same mails."""
    mailpit.call("DELETE", "/api/v1/messages")
    for server in (mailpit, mail):
        for raw in MAILS:
            server.send(raw, recipients=RECIPIENTS)
    return mailpit, mail


def same(both: tuple[MailServer, MailServer], requests: Callable[[Sequence[str]], Iterator[Request]]) -> None:
    """Fail with all differences between the two servers' answers to *requests*, a function of each server's message ids."""
    theirs, ours = (list(_answers(server, requests)) for server in both)
    assert len(theirs) > 3
    assert [each for mine, yours in zip(ours, theirs, strict=True) for each in _differences(mine[:2], mine[2:], yours[2:])] == []


def _differences(where: tuple[Any, ...], ours: Any, theirs: Any) -> Iterator[tuple[Any, ...]]:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        for key in ours:
            yield from _differences((*where, key), ours[key], theirs[key])
    elif isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        for number, item in enumerate(ours):
            yield from _differences((*where, number), item, theirs[number])
    elif ours != theirs:
        yield (*where, {"ours": ours, "Mailpit's": theirs})


def _answers(server: MailServer, requests: Callable[[Sequence[str]], Iterator[Request]]) -> Iterator[tuple[Any, ...]]:
    ids = [message["ID"] for message in server.get("/api/v1/messages?limit=0").json["messages"]]
    assert len(ids) == len(MAILS)
    for method, url, body in requests(ids):
        reply = server.call(method, url, body)
        kind = reply.headers.get("Content-Type", "").partition(";")[0]
        answer = _masked(reply.body, ids) if reply.status == 200 else ""
        yield method, _named(url, ids), reply.status, kind if reply.body else "", answer


def _named(text: str, ids: Sequence[str]) -> str:
    for number, identity in enumerate(ids):
        text = text.replace(identity, f"ID{number}")
    return re.sub(r"[0-9A-Za-z]{22}@mailpit", "new@mailpit", text)


def _masked(body: bytes, ids: Sequence[str]) -> Any:
    """Return an answer without its random and measured values.

    Mailpit adds Received headers, which envctl's server leaves out. docs/local.md lists the other differences: addresses of
    links in a Snippet, and no null for ReplyTo.
    """
    text = _named(body.decode("utf-8", "backslashreplace"), ids)
    try:
        return _without(json.loads(text))
    except ValueError:
        return re.sub(r"Received: .*\r\n(?:[ \t].*\r\n)*", "", text)


def _without(value: Any) -> Any:
    if isinstance(value, list):
        return [_without(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_message, is_part = "MessageID" in value, "PartID" in value
    found = {key: _without(item) for key, item in value.items() if key not in ("Received", "Created") and (is_part or key != "Size")}
    if is_message:
        found["ReplyTo"] = found["ReplyTo"] or []
        found["Snippet"] = re.sub(r" \( http\S+ \)", "", found.get("Snippet", ""))
    if is_message and not str(value.get("Date", "")).startswith("2026-11-22"):
        found.pop("Date", None)
    return found


def test_lists(both: tuple[MailServer, MailServer]) -> None:
    pages = ("", "?limit=2&start=1", "?limit=0&start=3", "?limit=-1&start=x", "?start=50")
    same(both, lambda ids: (("GET", f"/api/v1/messages{page}", None) for page in pages))


def test_searches(both: tuple[MailServer, MailServer]) -> None:
    same(both, lambda ids: (("GET", f"/api/v1/search?query={quote(query)}", None) for query in SEARCHES))
    same(
        both,
        lambda ids: (
            ("GET", f"/api/v1/search?query=from:ann&{page}", None) for page in ("limit=2", "start=3", "start=99", "start=1&limit=1")
        ),
    )


def test_messages(both: tuple[MailServer, MailServer]) -> None:
    """This test leaves out the text of mails that have only HTML, because the two servers lay it out differently."""

    def requests(ids: Sequence[str]) -> Iterator[Request]:
        only_html = ids[len(MAILS) - 1 - MAILS.index(HTML)], ids[0]
        for identity in ids:
            parts = [f"/part/{number}" for number in ("0", "1", "2", "2.1", "2.2", "2.3", "3", "4", "5", "6", "7", "9")]
            for place in ["", *parts, "/headers", "/raw"]:
                if place or identity not in only_html:
                    yield "GET", f"/api/v1/message/{identity}{place}", None
        for query in ("", "?query=subject:inline", "?query=nowhere"):
            yield "GET", f"/api/v1/message/latest/headers{query}", None
        yield "GET", "/api/v1/message/nobody", None

    same(both, requests)


HTML = MAILS[5]


def test_changes(both: tuple[MailServer, MailServer]) -> None:
    def requests(ids: Sequence[str]) -> Iterator[Request]:
        unread = ("GET", "/api/v1/search?query=is:unread", None)
        changes: list[Request] = [
            ("GET", f"/api/v1/message/{ids[0]}", None),
            ("DELETE", "/api/v1/messages", b"no JSON"),
            ("DELETE", "/api/v1/messages", {"IDs": [ids[0], "nobody"]}),
            ("DELETE", "/api/v1/search?query=subject:files", None),
            ("DELETE", "/api/v1/search", None),
            ("GET", "/api/v1/search", None),
            ("DELETE", "/api/v1/messages", {}),
            ("GET", "/api/v1/message/latest", None),
        ]
        for change in changes:
            yield change
            yield unread
        yield from (("GET", path, None) for path in ("/readyz", "/livez", "/nowhere"))

    same(both, requests)


def test_info(both: tuple[MailServer, MailServer]) -> None:
    theirs, ours = (server.get("/api/v1/info").json for server in both)
    assert ours.keys() == theirs.keys() - {"RuntimeStats"}
    assert all(ours[key] == theirs[key] for key in ("Messages", "Unread", "Tags", "LatestVersion"))
    assert ours["Version"].startswith(theirs["Version"])


@pytest.mark.parametrize("raw", [b"no header\r\n\r\ntext", b"Subject : x\r\n\r\n", b"\r\ntext", b"a: b\r\n"])
def test_what_is_no_message_is_refused_by_both(mailpit: MailServer, mail: MailServer, raw: bytes) -> None:
    def code(server: MailServer) -> int:
        with server.connect() as connection:
            connection.ehlo()
            connection.mail("a@b")
            connection.rcpt("c@d")
            return connection.data(raw)[0]

    assert code(mail) == code(mailpit)
