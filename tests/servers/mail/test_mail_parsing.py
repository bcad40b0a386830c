"""Whatever a message holds, it is taken; and what was put into it by the book comes out of it."""

from __future__ import annotations

import base64
import json
import quopri
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.servers.mail.attachments import content_of
from envctl.servers.mail.cleaning import clean
from envctl.servers.mail.envelope import parse_path
from envctl.servers.mail.message import describe, human_size
from envctl.servers.mail.parameters import parse_parameters

NOBODY = {"from": {"address": ""}, "to": [], "host": "", "remoteAddress": ""}
ABOUT = {"id": "x", "source": "/x", "read": False}

PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b";",
        b":",
        b"=",
        b'"',
        b"\\",
        b"<",
        b">",
        b"(",
        b",",
        b"'",
        b"*",
        b"%",
        b"?",
        b"Content-Type: ",
        b"text/plain",
        b"text/html",
        b"text/calendar",
        b"multipart/mixed",
        b"multipart/alternative",
        b"; boundary=b",
        b"; boundary=",
        b"\r\n--b\r\n",
        b"\r\n--b--\r\n",
        b"; charset=utf-8",
        b"; charset=utf-16",
        b"; charset=hex",
        b"; charset=\0",
        b"; charset=idna",
        b"; charset=undefined",
        b"; format=flowed",
        b"; delsp=yes",
        b"; name*0*=utf-8''%e2",
        b"; name*1=x",
        b"; name*99999=x",
        b"Content-Disposition: attachment",
        b"; filename=",
        b"Content-Transfer-Encoding: ",
        b"base64",
        b"quoted-printable",
        b"QQ==",
        b"=41",
        b"=\r\n",
        b"Subject: ",
        b"To: ",
        b"From: ",
        b"Date: ",
        b"Received: ",
        b"; Sun, 22 Nov 2026 10:00:00 +0000",
        b"Sun, 99 Nov 0000 10:00 +9999",
        b"X-Priority: ",
        b"99999999999999999999",
        b"References: ",
        b"Message-ID: ",
        b"Content-ID: ",
        b"=?utf-8?B?",
        b"=?utf-8?Q?",
        b"?=",
        b"a@b",
        b"\xff",
        b"\x85",
        b"\xa0",
        b"\0",
        b"<p>",
        b"<meta charset='x'>",
        b"</body>",
        b"-- ",
    ]
)


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_any_message_can_be_described(raw: bytes) -> None:
    described = describe(raw, NOBODY, ABOUT)

    assert described.document["size"] == len(raw)
    assert json.loads(json.dumps(described.document)) == described.document
    assert {one["generatedFileName"] for one in described.document["attachments"] or ()} == set(described.files)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="=?_"), min_size=1, max_size=30)


@given(NAMES, NAMES.filter(lambda text: text.strip()), st.binary(max_size=200))
def test_what_was_written_by_the_book_is_read(name: str, subject: str, content: bytes) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(name, "a", "example.org")
    message["Content-Language"] = "en"
    message["Subject"] = subject
    message.set_content("text", charset="utf-8")
    message.add_attachment(content, maintype="application", subtype="x-thing", filename="file.bin")

    document, files = describe(message.as_bytes(), NOBODY, ABOUT)

    assert document["from"] == [{"address": "a@example.org", "name": name}]
    assert document["text"] == "text\n"
    assert list(files.values()) == [content]
    assert document["attachments"][0]["fileName"] == "file.bin"


@given(st.binary(max_size=300))
def test_base64_is_decoded(content: bytes) -> None:
    assert content_of(base64.encodebytes(content).decode().splitlines(), "base64") == content


@given(st.binary(max_size=300).map(lambda content: content.translate(None, b"\r\n")))
def test_quoted_printable_is_decoded(content: bytes) -> None:
    # Line ends are text in this encoding, so only what is between them comes back byte by byte.
    assert content_of(quopri.encodestring(content, quotetabs=True).decode().split("\n"), "quoted-printable") == content


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (1, "1 bytes"), (1023, "1023 bytes"), (1024, "1 KB"), (1152, "1.13 KB"), (1536, "1.5 KB"), (3 << 20, "3 MB")],
)
def test_sizes_for_people(size: int, shown: str) -> None:
    assert human_size(size) == shown


@pytest.mark.parametrize(
    ("text", "value", "parameters"),
    [
        ('a/b; C="d;e\\"f"; g=h', "a/b", {"c": 'd;e"f', "g": "h"}),
        ("a; b; c=", "a", {"b; c": ""}),
        ("attachment; filename*1=b; filename*0=a", "attachment", {"filename": "ab"}),
        ("x; n*=utf-8'en'%c3%bc", "x", {"n": "=?utf-8?Q?=c3=bc?="}),
        ("", "", {}),
    ],
)
def test_parameters_are_read(text: str, value: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(text) == (value, parameters)


@pytest.mark.parametrize("text", ["a@x.org", "<a>", "<a@x.org", "<a@x.org>x", "<a b@x.org>", "<a\0@x.org>", "<@x.org>", "<a@x_y.org>"])
def test_what_is_no_path_is_refused(text: str) -> None:
    assert parse_path(text) is None


HTML = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<b>",
        "</b>",
        "<a href='javascript:x()'>",
        "<a href='https://x/?a=1&b=2'>",
        "</a>",
        "<script>",
        "</script>",
        "<img src=x onerror=x()>",
        "<svg/onload=x()>",
        "<style>",
        "</style>",
        "<title>",
        "</title>",
        "<!--",
        "-->",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "<ul>",
        "<li>",
        "</ul>",
        "<html>",
        "<head>",
        "</head>",
        "<body onload=x()>",
        "</body>",
        "<iframe src=x>",
        "</iframe>",
        "<",
        ">",
        "&lt;",
        "&amp;",
        "&",
        '"',
        "'",
        " ",
        "\n",
        "text",
        "<textarea>",
        "</textarea>",
        "<noscript>",
        "</noscript>",
        "<br/>",
        "<o:p>",
        "\xa0",
        "<math>",
        "<a href=' java\tscript:x()'>",
        "<form action=javascript:x()>",
        "<template>",
        "<xmp>",
        "<![CDATA[",
        "<?x",
        "<!x",
    ]
)


@given(st.lists(HTML, max_size=30).map("".join))
def test_nothing_that_runs_is_left_in_a_page(page: str) -> None:
    cleaned = clean(page)

    tags: list[Any] = re.findall(r"<[^>]*>", re.sub(r"(?s)<(title|style|textarea)[^>]*>.*?</\1>", "", cleaned))
    assert cleaned.startswith("<html><head>")
    assert cleaned.endswith("</body></html>")
    assert not [tag for tag in tags if re.match(r"<(script|iframe|svg|math|object|embed|base|meta)\b", tag)]
    assert not [tag for tag in tags if re.search(r"\son\w+=|javascript:", re.sub(r"[\s\x00]", "", tag) if "href" in tag else tag)]
