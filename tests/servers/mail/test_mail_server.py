"""Tests of the mail server's interfaces: SMTP for sending, HTTP for reading."""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import subprocess
import sys
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.servers.mail.conftest import MailServer, Start


def written(subject: str = "Hello", text: str = "text\n", **headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    for name, value in {"From": "Ann <ann@example.org>", "To": "to@example.org", "Subject": subject, **headers}.items():
        message[name] = value
    message.set_content(text)
    return message


def test_a_message_is_described_as_by_mailpit(mail: MailServer) -> None:
    raw = (
        b"From: Ann <a@x.org>\r\nTo: b@x.org\r\nSubject: Hi\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n"
    )
    identity = mail.send(raw, "back@x.org", ["b@x.org", "c@x.org"])
    kept = b"Bcc: c@x.org\r\nReturn-Path: <back@x.org>\r\n" + raw

    (summary,) = mail.listed()
    document = mail.message(identity)

    people = {"From": {"Name": "Ann", "Address": "a@x.org"}, "To": [{"Name": "", "Address": "b@x.org"}], "ReplyTo": []}
    same: dict[str, Any] = {"ID": identity, "MessageID": "1@x", **people, "Bcc": [{"Name": "", "Address": "c@x.org"}], "Subject": "Hi"}
    same |= {"Tags": [], "Username": "", "Size": len(kept)}
    created = summary.pop("Created")
    assert summary == {**same, "Cc": None, "Read": False, "Attachments": 0, "Snippet": "Hello"}
    assert document == {
        **same,
        "Cc": [],
        "ReturnPath": "back@x.org",
        "Date": "2026-11-22T10:00:00+01:00",
        "ListUnsubscribe": {"Header": "", "Links": [], "Errors": "", "HeaderPost": ""},
        "Text": "Hello\r\n",
        "HTML": "",
        "Inline": [],
        "Attachments": [],
    }
    assert created.endswith("Z")
    assert mail.get(f"/api/v1/message/{identity}/raw").body == kept


def test_a_message_is_there_as_soon_as_it_was_taken(mail: MailServer) -> None:
    for number in range(20):
        mail.send(written(f"number {number}").as_bytes())

        assert mail.listed()[0]["Subject"] == f"number {number}"


def test_lists_are_paged_and_counted(mail: MailServer) -> None:
    for number in range(60):
        mail.send(written(str(number)).as_bytes())
    mail.message()

    page = mail.get("/api/v1/messages?start=2&limit=3").json

    assert [message["Subject"] for message in page.pop("messages")] == ["57", "56", "55"]
    assert page == {"total": 60, "unread": 59, "count": 3, "messages_count": 60, "messages_unread": 59, "start": 2, "tags": []}
    assert len(mail.listed()) == 50
    assert len(mail.get("/api/v1/messages?limit=0").json["messages"]) == 60


def test_what_is_read_is_marked(mail: MailServer) -> None:
    first, _ = mail.send(written("one").as_bytes()), mail.send(written("two").as_bytes())
    assert mail.subjects("is:unread") == ["two", "one"]
    mail.message(first)
    assert mail.subjects("is:read") == ["one"]
    assert mail.subjects("is:unread") == mail.subjects("-is:read") == ["two"]


def test_messages_are_deleted(mail: MailServer) -> None:
    identities = [mail.send(written(subject).as_bytes()) for subject in ("one", "two", "three", "four")]
    assert mail.call("DELETE", "/api/v1/messages", {"IDs": [identities[1], "nobody"]}).text == "ok"
    assert mail.subjects() == ["four", "three", "one"]
    assert mail.get(f"/api/v1/message/{identities[1]}").status == 404
    mail.call("DELETE", "/api/v1/search?query=subject:one")
    assert mail.subjects() == ["four", "three"]
    assert mail.call("DELETE", "/api/v1/search").status == 400
    mail.call("DELETE", "/api/v1/messages")
    assert mail.subjects() == []
    assert (mail.get("/api/v1/message/latest").status, mail.get("/api/v1/message/latest").text) == (404, "Message not found")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("to:BOB@example.org", ["two"]),
        ("from:ann", ["two", "one"]),
        ("subject:one", ["one"]),
        ("bcc:hidden", ["two"]),
        ("cc:carol", ["two"]),
        ("reply-to:back", ["one"]),
        ("addressed:carol", ["two"]),
        ("message-id:two@x", ["two"]),
        ("zebra", ["one"]),
        ("%22a+striped+zebra%22", ["one"]),
        ("%22zebra+striped%22", []),
        ("striped+zebra", ["one"]),
        ("from:ann+-subject:one", ["two"]),
        ("!zebra", ["two"]),
        ("has:attachment", ["two"]),
        ("report.pdf", ["two"]),
    ],
)
def test_a_search_finds(mail: MailServer, query: str, found: list[str]) -> None:
    mail.send(written("one", "A striped\nzebra\n", **{"Reply-To": "back@example.org"}).as_bytes())
    message = written("two", **{"Cc": '"Carol" <c@example.org>', "Message-ID": "<two@x>"})
    message.replace_header("To", "Bob <bob@example.org>")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="report.pdf")
    mail.send(message.as_bytes(), recipients=["bob@example.org", "hidden@example.org"])

    assert mail.subjects(query) == found


@pytest.mark.parametrize("query", ["after:2026-01-01", "before:now", "larger:1M", "tag:x", "-is:tagged"])
def test_a_filter_that_is_missing_is_no_empty_result(mail: MailServer, query: str) -> None:
    reply = mail.get(f"/api/v1/search?query={query}")
    assert reply.status == 501
    assert "if `mailpit` is on PATH, envctl starts that instead" in reply.text


def test_a_route_that_is_missing_is_said(mail: MailServer) -> None:
    reply = mail.call("POST", "/api/v1/send", {})
    assert (reply.status, reply.text.partition(":")[0]) == (501, "POST /api/v1/send")
    assert mail.get("/nowhere").status == 404


def test_the_latest_may_be_that_of_a_search(mail: MailServer) -> None:
    for subject in ("one", "two", "other"):
        mail.send(written(subject, f"text of {subject}\n").as_bytes())

    assert mail.message()["Subject"] == "other"
    assert mail.message("latest?query=subject:t")["Subject"] == "other"
    assert mail.message("latest?query=subject:two")["Subject"] == "two"
    assert mail.message("latest?query=subject:one")["Text"] == "text of one\r\n"


def test_an_attachment_comes_back_as_it_was(mail: MailServer) -> None:
    message = written()
    content = bytes(range(256)) * 2000
    message.add_attachment(content, maintype="application", subtype="pdf", filename="Übersicht.pdf")
    message.add_attachment("<p>not run</p>", subtype="html", filename="x.html")
    identity = mail.send(message.as_bytes())

    first, second = mail.message(identity)["Attachments"]

    assert (first["PartID"], first["FileName"], first["ContentType"], first["Size"]) == (
        "2",
        "Übersicht.pdf",
        "application/pdf",
        len(content),
    )
    reply = mail.get(f"/api/v1/message/{identity}/part/2")
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/pdf", content)
    reply = mail.get(f"/api/v1/message/{identity}/part/{second['PartID']}")
    assert (reply.headers["Content-Type"], reply.headers["Content-Disposition"][:11]) == ("application/octet-stream", "attachment;")
    assert mail.get(f"/api/v1/message/{identity}/part/9").status == 404


def test_an_inline_image_has_the_name_that_the_page_calls_it(mail: MailServer) -> None:
    message = written()
    message.add_alternative('<img src="cid:logo@x">', subtype="html")
    part: Any = message.get_payload(1)
    part.add_related(b"GIF89a", "image", "gif", cid="<logo@x>")
    identity = mail.send(message.as_bytes())

    (image,) = mail.message(identity)["Inline"]

    assert (image["ContentID"], image["PartID"]) == ("logo@x", "2.2")
    assert mail.get(f"/api/v1/message/{identity}/part/2.2").body == b"GIF89a"


@pytest.mark.parametrize("address", ["jörg@exämple.org", "a+b@example.org"])
def test_addresses_beyond_ascii_are_taken(mail: MailServer, address: str) -> None:
    identity = mail.send("Subject: x\r\n\r\nü".encode(), address, [address])

    assert mail.message(identity)["ReturnPath"] == address
    assert mail.message(identity)["Bcc"] == [{"Name": "", "Address": address}]


def test_a_bounce_has_no_sender(mail: MailServer) -> None:
    identity = mail.send(written().as_bytes(), sender="")
    assert mail.message(identity)["ReturnPath"] == "ann@example.org"


def test_parameters_that_nobody_knows_are_ignored(mail: MailServer) -> None:
    with mail.connect() as connection:
        connection.ehlo()
        assert connection.mail("a@example.org", ["RET=FULL", "AUTH=<>"])[0] == 250
        assert connection.rcpt("b@example.org", ["NOTIFY=NEVER"])[0] == 250


def test_several_messages_go_over_one_connection(mail: MailServer) -> None:
    with mail.connect() as connection:
        for number in range(3):
            connection.send_message(written(str(number)), "a@example.org", [f"{number}@example.org"])

    assert [(one["Subject"], one["Bcc"][0]["Address"]) for one in mail.listed()] == [(str(n), f"{n}@example.org") for n in (2, 1, 0)]


def test_what_is_no_message_is_refused(mail: MailServer) -> None:
    with mail.connect() as connection, pytest.raises(smtplib.SMTPDataError, match="451"):
        connection.sendmail("a@example.org", ["b@example.org"], b"no header at all\r\n\r\ntext")
    assert mail.subjects() == []


def test_smtp_asks_for_the_login(guarded: MailServer, login: tuple[str, str]) -> None:
    token = base64.b64encode("\0".join(["", *login]).encode()).decode()
    with guarded.connect() as connection:
        connection.ehlo()
        assert set(connection.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN"}
        assert connection.mail("a@example.org")[0] == 530
        assert connection.docmd("AUTH", f"plain {token}")[0] == 235
        connection.sendmail("a@example.org", ["b@example.org"], written().as_bytes())
    word = base64.b64encode(":".join(login).encode()).decode()
    assert guarded.get("/api/v1/message/latest", Authorization=f"Basic {word}").json["Username"] == login[0]


@pytest.mark.parametrize("wrong", [("", ""), ("", " "), ("x", ""), ("", "y")])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtp_refuses_any_other_login(guarded: MailServer, login: tuple[str, str], mechanism: str, wrong: tuple[str, str]) -> None:
    given = (login[0] + wrong[0], login[1] + wrong[1]) if any(wrong) else (login[1], login[0])
    name, password, both = (base64.b64encode(word.encode()).decode() for word in (*given, f"\0{given[0]}\0{given[1]}"))
    with guarded.connect() as connection:
        connection.ehlo()
        if mechanism == "PLAIN":
            code, _ = connection.docmd("AUTH", f"PLAIN {both}")
        else:
            connection.docmd("AUTH", f"LOGIN {name}")
            code, _ = connection.docmd(password)

        assert code == 535
        assert connection.mail("a@example.org")[0] == 530


@pytest.mark.parametrize("path", ["/", "/api/v1/messages", "/api/v1/info", "/nowhere"])
def test_http_asks_for_the_login_but_for_the_probes(guarded: MailServer, login: tuple[str, str], path: str) -> None:
    refused = guarded.get(path)
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="Login"')
    assert guarded.get(path, Authorization="Basic bm9ib2R5OnBhZ2U=").status == 401
    assert guarded.get(path, Authorization="Basic é").status == 401
    word = base64.b64encode(":".join(login).encode()).decode()
    assert guarded.get(path, Authorization=f"Basic {word}").status in (200, 404)
    assert [guarded.get(probe).status for probe in ("/readyz", "/livez")] == [200, 200]


def test_info_counts(start_mail: Start) -> None:
    server = start_mail()
    for _ in range(3):
        server.send(written().as_bytes())
    server.call("DELETE", "/api/v1/messages", {"IDs": [server.listed()[0]["ID"]]})
    server.message()

    info = server.get("/api/v1/info").json

    assert (info["Messages"], info["Unread"], info["LatestVersion"]) == (2, 1, "disabled")


def test_the_page_lists_messages_as_text(mail: MailServer) -> None:
    message = written("<script>alert(1)</script>", "1 < 2\n")
    message.replace_header("From", '"<b>x</b>" <"<i>"@example.org>')
    message.add_attachment("x", filename="<u>.txt")
    identity = mail.send(message.as_bytes())

    page = mail.get("/")

    assert page.status == 200
    assert not re.search("<(script|b|i|u)>", page.text)
    assert "<pre>1 &lt; 2\r\n</pre>" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    links = re.findall('href="([^"]*)"', page.text)
    assert links == [f"/api/v1/message/{identity}/raw", f"/api/v1/message/{identity}/part/2"]
    assert [mail.get(link).status for link in links] == [200] * 2


def test_each_message_is_one_line_of_the_log(start_mail: Start) -> None:
    server = start_mail()
    identity = server.send(b"From: a@b\r\nSubject: =?utf-8?Q?first=0Aforged?=\r\n\r\ntext", recipients=["x@example.org", "y@example.org"])

    assert server.output.read_text("utf-8").splitlines() == [
        f"listening: SMTP {server.smtp_port}, HTTP {server.http_port}",
        f"message {identity}: a@b -> x@example.org, y@example.org: first?forged",
    ]


def test_sigterm_ends_it_in_the_middle_of_a_message(start_mail: Start) -> None:
    server = start_mail()
    assert server.process
    with server.connect() as connection:
        connection.ehlo()
        connection.mail("a@example.org")
        connection.rcpt("b@example.org")
        assert connection.docmd("DATA")[0] == 354
        server.process.terminate()

        assert server.process.wait(60) == 0
        connection.close()
    assert "Traceback" not in server.output.read_text()


def test_what_keeps_it_from_starting_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert started(MP_UI_BIND_ADDR=f"127.0.0.1:{port}").startswith(f"cannot listen on 127.0.0.1:{port}: ")
    path = tmp_path / "passwords"
    assert str(path) in started(MP_UI_AUTH_FILE=str(path))
    path.write_text("me:plain\n")
    assert started(MP_UI_AUTH_FILE=str(path)) == f"{path}: expected lines of NAME:{{SSHA}}HASH\n"


def started(**environ: str) -> str:
    """Start a server that must fail; return its error message."""
    addresses = {"MP_SMTP_BIND_ADDR": "127.0.0.1:0", "MP_UI_BIND_ADDR": "127.0.0.1:0"}
    command = [sys.executable, "-m", "envctl.servers.mail"]
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=addresses | path | environ)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr
