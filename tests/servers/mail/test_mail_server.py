"""What a test sees of the mail server: messages in by SMTP, and out by HTTP."""

from __future__ import annotations

import base64
import smtplib
import socket
import subprocess
import sys
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.mail.conftest import MailServer, Start

LOGIN = {"MAILDEV_INCOMING_USER": "me", "MAILDEV_INCOMING_PASS": "s3cret", "MAILDEV_WEB_USER": "web", "MAILDEV_WEB_PASS": "page"}


@pytest.fixture(scope="module")
def guarded(start_mail: Start) -> MailServer:
    """A mail server that asks who is there."""
    return start_mail(**LOGIN)


def written(subject: str = "Hello", **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "Ann <ann@example.org>", "To": "bob@example.org", "Subject": subject, **headers}.items():
        message[name] = value
    message.set_content("text\n")
    return message


def test_a_message_is_listed_with_all_that_maildev_tells(mail: MailServer) -> None:
    head = (
        b"From: Ann <a@example.org>\r\nTo: b@example.org\r\nSubject: Hi\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@x>\r\n"
    )
    raw = head + b"\r\nHello"

    document = mail.take(raw, sender="a@example.org", recipients=["b@example.org", "c@example.org"])

    assert document == {
        "text": "Hello\n",
        "headers": {
            "from": "Ann <a@example.org>",
            "to": "b@example.org",
            "subject": "Hi",
            "date": "Sun, 22 Nov 2026 10:00:00 +0100",
            "message-id": "<1@x>",
        },
        "subject": "Hi",
        "messageId": "1@x",
        "priority": "normal",
        "from": [{"address": "a@example.org", "name": "Ann"}],
        "to": [{"address": "b@example.org", "name": ""}],
        "date": "2026-11-22T09:00:00.000Z",
        "id": document["id"],
        "time": "2026-11-22T09:00:00.000Z",
        "read": False,
        "envelope": {
            "from": {"address": "a@example.org", "args": False},
            "to": [{"address": "b@example.org", "args": False}, {"address": "c@example.org", "args": False}],
            "host": "sender.example",
            "remoteAddress": "127.0.0.1",
        },
        "source": document["source"],
        "size": len(raw) + 2,
        "sizeHuman": f"{len(raw) + 2} bytes",
        "attachments": None,
        "calculatedBcc": [{"address": "c@example.org", "name": ""}],
    }
    assert len(document["id"]) == 8
    assert mail.get(f"/email/{document['id']}/source").body == raw + b"\r\n"


def test_a_message_is_there_as_soon_as_it_was_taken(mail: MailServer) -> None:
    for number in range(20):
        mail.send(written(f"number {number}").as_bytes())

        assert mail.get(f"/email?subject=number+{number}").json[0]["read"] is False


def test_reading_marks_as_read(mail: MailServer) -> None:
    first = mail.take(written().as_bytes())["id"]
    mail.send(written("other").as_bytes())

    assert mail.get(f"/email/{first}").json["read"] is True
    assert [one["read"] for one in mail.wait_for(2)] == [True, False]
    assert mail.call("PATCH", "/email/read-all").json == 1
    assert [one["read"] for one in mail.wait_for(2)] == [True, True]


def test_messages_are_deleted(mail: MailServer) -> None:
    for subject in ("one", "two", "three"):
        mail.send(written(subject).as_bytes())
    identity = mail.wait_for(3)[1]["id"]

    assert mail.call("DELETE", f"/email/{identity}").json is True
    assert [one["subject"] for one in mail.wait_for(2)] == ["one", "three"]
    assert mail.call("DELETE", f"/email/{identity}").status == 500
    assert mail.get(f"/email/{identity}").status == 404
    assert mail.call("DELETE", "/email/all").json is True
    assert mail.get("/email").json == []


def test_an_attachment_comes_back_as_it_was(mail: MailServer) -> None:
    message = written()
    content = bytes(range(256)) * 2000
    message.add_attachment(content, maintype="application", subtype="pdf", filename="Übersicht.pdf")

    listed = mail.take(message.as_bytes())

    (attachment,) = listed["attachments"]
    assert (attachment["fileName"], attachment["contentType"], attachment["length"]) == ("Übersicht.pdf", "application/pdf", len(content))
    reply = mail.get(f"/email/{listed['id']}/attachment/{attachment['generatedFileName']}")
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/pdf", content)


def test_an_inline_image_is_linked_in_the_page(mail: MailServer) -> None:
    message = written()
    message.add_alternative('<img src="cid:logo@x"><script>alert(1)</script>', subtype="html")
    part: Any = message.get_payload(1)
    part.add_related(b"GIF89a", "image", "gif", cid="<logo@x>")

    listed = mail.take(message.as_bytes())

    page = mail.get(f"/email/{listed['id']}/html").text
    address = f"//127.0.0.1:{mail.web_port}/email/{listed['id']}/attachment/{listed['attachments'][0]['generatedFileName']}"
    assert page == f'<html><head></head><body><img src="{address}">\n</body></html>'
    assert mail.get(address.removeprefix(f"//127.0.0.1:{mail.web_port}")).body == b"GIF89a"


@pytest.mark.parametrize("address", ["jörg@exämple.org", "a+b@example.org"])
def test_addresses_beyond_ascii_are_taken(mail: MailServer, address: str) -> None:
    with mail.connect() as connection:
        connection.sendmail(address, [address], "Subject: x\r\n\r\nü".encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])

    envelope = mail.wait_for(1)[0]["envelope"]

    assert envelope["from"] == {"address": address, "args": {"SMTPUTF8": True, "BODY": "8BITMIME"}}
    assert envelope["to"] == [{"address": address, "args": False}]


def test_a_bounce_has_no_sender(mail: MailServer) -> None:
    assert mail.take(written().as_bytes(), sender="")["envelope"]["from"]["address"] == ""


def test_several_messages_go_over_one_connection(mail: MailServer) -> None:
    with mail.connect() as connection:
        for number in range(3):
            connection.send_message(written(str(number)), "a@example.org", [f"{number}@example.org"])

    assert [(one["subject"], one["envelope"]["to"][0]["address"]) for one in mail.wait_for(3)] == [
        (str(n), f"{n}@example.org") for n in range(3)
    ]


def test_smtp_asks_for_the_login(guarded: MailServer) -> None:
    with guarded.connect() as connection:
        connection.ehlo()
        assert connection.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert connection.mail("a@example.org")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
            connection.login("me", "wrong")
        assert connection.login("me", "s3cret")[0] == 235
        assert connection.mail("a@example.org")[0] == 250


@pytest.mark.parametrize("given", [("me", ""), ("me", "s3cret "), ("s3cret", "me"), ("mé", "s3cret")])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtp_refuses_any_other_login(guarded: MailServer, mechanism: str, given: tuple[str, str]) -> None:
    encoded = [base64.b64encode(word.encode()).decode() for word in (*given, f"\0{given[0]}\0{given[1]}")]
    with guarded.connect() as connection:
        connection.ehlo()
        if mechanism == "PLAIN":
            code, _ = connection.docmd("AUTH", f"PLAIN {encoded[2]}")
        else:
            connection.docmd("AUTH", f"LOGIN {encoded[0]}")
            code, _ = connection.docmd(encoded[1])

        assert code == 535
        assert connection.mail("a@example.org")[0] == 530


def test_the_page_asks_for_the_login_but_for_its_health(guarded: MailServer) -> None:
    word = base64.b64encode(b"web:page").decode()

    refused = guarded.get("/email")

    assert (refused.status, refused.text) == (401, "Unauthorized")
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert guarded.get("/email", Authorization=f"Basic {word}").status == 200
    assert guarded.get("/email", Authorization="Basic bm9ib2R5OnBhZ2U=").status == 401
    assert (guarded.get("/healthz").status, guarded.get("/healthz").json) == (200, True)


def test_without_credentials_nobody_is_asked(mail: MailServer) -> None:
    with mail.connect() as connection:
        connection.ehlo()

        assert not connection.has_extn("auth")
    assert mail.get("/email").status == 200


def test_the_page_lists_and_shows_messages_as_text(mail: MailServer) -> None:
    listed = mail.take(b"From: <b>x</b> <a@example.org>\r\nSubject: <script>alert(1)</script>\r\n\r\n<i>text</i>")

    overview, shown = mail.get("/"), mail.get(f"/?id={listed['id']}")

    for reply in (overview, shown):
        assert reply.status == 200
        assert "<script" not in reply.text
        assert "<b>" not in reply.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in reply.text
    assert f'href="?id={listed["id"]}"' in overview.text
    assert "<pre>&lt;i&gt;text&lt;/i&gt;\n</pre>" in shown.text
    assert mail.get("/email").json[0]["read"] is False


def test_each_message_is_one_line_of_the_log(start_mail: Start) -> None:
    server = start_mail()
    server.send(b"Subject: =?utf-8?Q?first=0Aforged?=\r\n\r\ntext", recipients=["x@example.org", "y@example.org"])
    identity = server.wait_for(1)[0]["id"]

    assert server.output.read_text("utf-8").splitlines() == [
        f"listening on 127.0.0.1: SMTP {server.smtp_port}, web {server.web_port}",
        f"message {identity}: sender@example.org -> x@example.org, y@example.org: first?forged",
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


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "envctl.servers.mail", "--smtp-port", "0", "--web-port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert done.stderr.startswith("cannot listen on 127.0.0.1: ")
    assert done.stdout == ""
