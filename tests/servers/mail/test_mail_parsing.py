"""Property tests of mails: any message is accepted, and the parts of a valid one are read as they were written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.servers.mail.inbox import Unreadable, completed
from envctl.servers.mail.message import Message
from envctl.servers.mail.mime import text_of_html
from envctl.servers.mail.search import Unsupported, search

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HEADS = [
    b"Subject: ", b"From: ", b"To: a@x, ", b"Date: ", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    b"Content-Type: text/html; charset=", b"Content-Transfer-Encoding: base64\r\n", b"Content-Disposition: attachment; filename*=",
    b"Content-ID: <", b"Message-ID: ", b"=?utf-8?B?", b"Content-Type: message/rfc822\r\n\r\n", b"\r\n", b"\r\n\r\n", b"--b--",
    b"Bcc: ", b"Return-Path: x\r\n y", b"<p>", b"<a href='http://x'>",
]  # fmt: skip
PIECES = st.lists(st.one_of(st.sampled_from(HEADS), st.binary(max_size=20)), max_size=12).map(b"".join)
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)


def received(raw: bytes) -> Message:
    return Message("id", completed("s@x", ["r@x"], raw), NOW, "")


@given(PIECES)
def test_any_message_can_be_described(raw: bytes) -> None:
    message = Message("id", raw, NOW, "")
    json.dumps([message.summary(), message.document(), message.headers])
    assert search([message], "is:unread") == [message]


@given(PIECES)
def test_what_is_kept_says_whose_it_is(raw: bytes) -> None:
    try:
        message = received(raw)
    except Unreadable:
        return
    assert message.document()["ReturnPath"] == "s@x"
    assert "r@x" in message.searched
    assert message.facts["MessageID"]


@given(TEXT, TEXT, st.binary(max_size=200))
def test_what_was_written_by_the_book_is_read(name: str, subject: str, content: bytes) -> None:
    written = EmailMessage(policy=SMTP)
    written["From"] = Address(name, "ann", "example.org")
    written["Subject"] = subject
    written.set_content("Grüße\n")
    written.add_attachment(content, maintype="application", subtype="pdf", filename="ä b.pdf")

    message = received(written.as_bytes())

    assert message.facts["From"] == {"Name": name, "Address": "ann@example.org"}
    assert (message.facts["Subject"], message.content.text) == (subject, "Grüße\r\n")
    assert [(part.name, part.content) for part in message.content.attachments] == [("ä b.pdf", content)]


@given(st.text(max_size=60))
def test_any_search_has_an_answer(query: str) -> None:
    try:
        found = search([received(b"Subject: x\r\n\r\ny")], query)
    except Unsupported:
        return
    assert len(found) < 2


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Hi</h1><p>you\n there</p>", "Hi\nyou there"),
        ("a<br>b<br />c", "a\nb\nc"),
        ("<head><title>T</title><style>p{}</style><body>x<script>y()</script>z", "xz"),
        ("<ul><li>1</li><li>2</li></ul>", "1\n2"),
        ('<a href="https://x/?a=1&amp;b=2">a</a> &amp; <a href="mailto:x">b</a>', "a ( https://x/?a=1&b=2 ) & b"),
        ("", ""),
    ],
)
def test_html_as_text(html: str, text: str) -> None:
    assert text_of_html(html) == text


@pytest.mark.parametrize(("text", "snippet"), [("x" * 200, "x" * 200), ("ü" * 150, "ü" * 100 + "..."), (" a\n b ", "a b")])
def test_a_snippet_has_two_hundred_bytes(text: str, snippet: str) -> None:
    assert received(f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()).summary()["Snippet"] == snippet
