"""The same messages and requests to MailDev itself and to our stand-in, and their answers side by side."""

from __future__ import annotations

import base64
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.mail.conftest import MailServer, Start

    At = Callable[[int, int], MailServer]

pytestmark = pytest.mark.docker

IMAGE = "maildev/maildev:2.2.1"
CREDENTIALS = {
    "MAILDEV_INCOMING_USER": "me",
    "MAILDEV_INCOMING_PASS": "se:cret",
    "MAILDEV_WEB_USER": "me",
    "MAILDEV_WEB_PASS": "se",
}
ALL = ["to@example.org", "cc@example.org", "hidden@example.org", "to@example.org"]


def built(**headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    given = {"From": "Ann <ann@example.org>", "To": "to@example.org", "Date": "Sun, 22 Nov 2026 10:00:00 +0100", "Message-ID": "<1@x>"}
    for name, value in {**given, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
        message[name] = value
    return message


def plain() -> bytes:
    message = built(Subject="Hello", Cc='"Doe, Jane" <cc@example.org>, Bob <bob@example.org>', Reply_To="re@example.org")
    message.set_content("first line\n\n.dot\n..dots\nlast line\n")
    return message.as_bytes()


def alternatives() -> bytes:
    message = built(Subject="Zażółć gęślą jaźń, déjà vu, " + "日本語" * 20)
    message.set_content("Grüße\n")
    message.add_alternative("<html><head><title>x</title></head><body><p>Gr&uuml;&szlig;e</p></body></html>\n", subtype="html")
    return message.as_bytes()


def attached() -> bytes:
    message = built(Subject="files")
    message.set_content("see the files")
    message.add_attachment(bytes(range(256)) * 4, maintype="application", subtype="pdf", filename="Übersicht – 2026 (1).pdf")
    message.add_attachment("a,b\n1,ü\n", subtype="csv", filename="data.csv")
    message.add_attachment("same name\n", filename="data.csv")
    message.add_attachment(b"\x89PNG", maintype="application", subtype="octet-stream", filename="picture.png")
    message.add_attachment(b"", maintype="application", subtype="octet-stream", filename="empty")
    message.add_attachment(b"no name", maintype="image", subtype="jpeg")
    message.add_attachment(plain_message())
    return message.as_bytes()


def plain_message() -> EmailMessage:
    message = built(Subject="inner")
    message.set_content("inside")
    return message


def inline() -> bytes:
    message = built(Subject="inline image")
    message.set_content("text")
    message.add_alternative('<p>logo: <img src="cid:logo@example.org" alt="a"> <img src=\'cid:other\'></p>', subtype="html")
    part: Any = message.get_payload(1)
    part.add_related(b"GIF89a", "image", "gif", cid="<logo@example.org>", filename="logo.gif", disposition="inline")
    return message.as_bytes()


def calendar() -> bytes:
    message = built(Subject="meeting")
    message.set_content("come")
    message.add_alternative("BEGIN:VCALENDAR\nEND:VCALENDAR\n", subtype="calendar", params={"method": "REQUEST"})
    return message.as_bytes()


def lines(*given: str, charset: str = "utf-8") -> bytes:
    return "\r\n".join(given).encode(charset)


def multipart(kind: str, *parts: str, headers: str = "Subject: parts") -> bytes:
    inside = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f'{headers}\r\nContent-Type: multipart/{kind}; boundary="b"\r\n\r\npreamble\r\n{inside}--b--\r\nepilogue\r\n'.encode("latin-1")


MESSAGES = {
    "plain": plain(),
    "alternatives": alternatives(),
    "attachments": attached(),
    "inline image": inline(),
    "calendar": calendar(),
    "UTF-8 headers": lines("From: Jörg Åä <jörg@example.org>", "To: ä à", "Subject: Grüße à", "X-Tag: Grüße à", "", "Ünïcode"),
    "no headers": lines("", "only a body"),
    "nothing": b"",
    "headers alone": lines("Subject: x", "To: a@example.org"),
    "no date, no subject": lines("From: a@example.org", "", "text"),
    "empty subject": lines("Subject:", "To:", "", ""),
    "8 bit without a charset": lines("Subject: Grüße", "", "Grüße, café à Å"),
    "8 bit, charset first": lines("Content-Type: text/plain; charset=utf-8", "Subject: Grüße à", "X-Other: Grüße", "", "Grüße"),
    "8 bit, Latin-1": lines(
        "Content-Type: text/plain; charset=ISO-8859-1", "Subject: x", "", "Grüße “”".replace("“”", ""), charset="latin-1"
    ),
    "unknown charset": lines("Content-Type: text/plain; charset=x-klingon", "Subject: =?x-klingon?Q?=E9?=", "", "é"),
    "long lines": lines("Subject: " + "x" * 1500, "", "y" * 5000, "z" * 90000),
    "folded headers": lines(
        "Subject: one", "\ttwo", "  three", "X-A: 1", "X-A: 2", "x-a: 3", "Received: from x; Sun, 22 Nov 2026 10:00:00 +0000", "", ""
    ),
    "junk headers": lines("no colon here", "Subject : spaced", ": nameless", "X:y:z", "", "text"),
    "encoded words": lines(
        "Subject: =?utf-8?B?R3LDvMOf?= =?utf-8?Q?e_a=5Fb?= plain =?iso-8859-1?q?=E9t=E9?=  =?utf-8?Q?_!?=",
        "From: =?utf-8?B?R3LDvMM=?= =?utf-8?B?n2U=?= <a@example.org>",
        'To: "=?utf-8?Q?J=C3=B6rg?=" <b@example.org>, =?bad?Q?x?= <c@example.org>',
        "",
        "",
    ),
    "odd addresses": lines(
        'From: "A \\"quoted\\" \\\\ name" <a@example.org>, b@example.org (Comment), <c@example.org>, (only comment)',
        "To: Group: x@example.org, Y <y@example.org>; z@example.org; undisclosed-recipients:;",
        "Cc: no address, trailing text d@example.org here, E <e@example.org> <f@example.org>, A < B <g@example.org>",
        "Cc: h@example.org",
        "Bcc: i@example.org",
        "",
        "",
    ),
    "threading": lines(
        "Message-ID: <id@example.org>",
        "In-Reply-To: <a@x>",
        "References: <a@x> <b@x>",
        " <c@x>",
        "Thread-Index: AQ==",
        "X-Priority: 1 (Highest)",
        "",
        "",
    ),
    "importance": lines("Importance: low", "X-MSMail-Priority: Normal", "Priority: urgent", "", ""),
    "bad date": lines("Date: never", "", ""),
    "short date": lines("Date: 22 Nov 2026 10:00 GMT", "", ""),
    "ISO date": lines("Date: 2026-11-22T10:00:00.123Z", "", ""),
    "quoted-printable": lines(
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Gr=C3=BC=C3=9F=",
        "e  ",
        "a=3Db =XX",
        "",
    ),
    "base64 text": lines("Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: BASE64", "", "PHA+R3LDvMOf", "ZTwvcD4=", ""),
    "flowed": lines("Content-Type: text/plain; format=flowed", "", "one ", "two ", "three", "-- ", "name ", "end"),
    "flowed, delsp": lines("Content-Type: text/plain; format=flowed; delsp=yes", "", "one ", "two ", "three"),
    "flowed, quoted-printable": lines(
        "Content-Type: text/plain; format=flowed; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "one=20",
        "two",
        "--=20",
        "me",
        "",
    ),
    "a PDF by itself": lines(
        'Content-Type: application/pdf; name="a b.pdf"',
        "Content-Transfer-Encoding: base64",
        "Date: Sun, 22 Nov 2026 10:00:00 +0000",
        "",
        "JVBERi0x",
        "",
    ),
    "file names": multipart(
        "mixed",
        'Content-Type: text/plain; name="in.line.txt"\r\nContent-Disposition: inline\r\n\r\nshown',
        "Content-Type: application/x-foo\r\nContent-Disposition: attachment; filename*=utf-8''%e2%82%ac%20rates.txt\r\n\r\nlines\r\nof it",
        "Content-Type: application/x-foo\r\nContent-Disposition: attachment; filename*0*=utf-8''%c3%bc; filename*1=ber.txt\r\n\r\nx",
        'Content-Type: application/x-foo\r\nContent-Disposition: attachment; filename="=?utf-8?Q?=C3=BC.txt?="\r\n\r\nx',
        'Content-Type: application/x-foo\r\nContent-Disposition: attachment; filename="../../etc/passwd"\r\n\r\nx',
        "Content-Type: application/x-foo\r\nContent-Disposition: attachment; filename=a;b.txt\r\n\r\nx",
        "Content-Type: audio/mpeg\r\nContent-ID: <same>\r\n\r\nx",
        "\r\nno headers at all",
        "Content-Type: text/plain\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41 =\r\nB",
        "Content-Type: application/octet-stream; name=report.docx\r\nContent-Transfer-Encoding: base64\r\n\r\nAAE=\r\nQUI",
    ),
    "two pages": multipart("mixed", "Content-Type: text/html\r\n\r\n<body><p>1</p></body>", "Content-Type: text/html\r\n\r\n<p>2</p>"),
    "two texts": multipart("mixed", "Content-Type: text/plain\r\n\r\none", "Content-Type: text/plain\r\n\r\ntwo"),
    "text after a page": multipart(
        "mixed", "Content-Type: text/plain\r\n\r\none", "Content-Type: text/html\r\n\r\n<p>2</p>", "Content-Type: text/plain\r\n\r\nthree"
    ),
    "pages of two levels": multipart(
        "mixed",
        'Content-Type: multipart/alternative; boundary="c"\r\n\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>1</p>\r\n--c--',
        "Content-Type: text/html\r\n\r\n<p>2</p>",
    ),
    "charset in the page": multipart(
        "alternative", 'Content-Type: text/html\r\n\r\n<html><head><meta charset="utf-8"></head><body>Gr\xc3\xbc\xc3\x9fe</body></html>'
    ),
    "unclosed parts": lines(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "text",
        "--b",
        "Content-Type: image/png",
        "",
        "xyz",
    ),
    "bare line ends": b"Subject: bare\nTo: a@example.org\n\none\ntwo\n",
}

PAGES = {
    "fragment": "<p>Hello <b>you</b></p>",
    "text": "no tags & <3 &lt;b&gt; &copy; &nbsp;",
    "document": '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>T &amp; U</title>\n'
    "<style>p > a { color: red }</style>\n</head>\n"
    '<body class="x" onload="x()">\n<h1>Hi</h1>\n</body>\n</html>\n',
    "scripts": '<p onclick="x()">a<script>alert(1)</script><iframe src="x">y</iframe><object data="x">o</object></p><noscript>n</noscript>',
    "links": '<a href="https://x.example/?a=1&copy=2&amp;b=3&reg;" target="_blank" rel="noopener">l</a> <a href="javascript:x()">j</a> '
    '<a href=/rel/>r</a> <a href="mailto:a@x">m</a> <a href="data:text/html,x">d</a> <a href="ftp://x">f</a>',
    "images": '<img src="data:image/png;base64,AA==" width=1 height="2" alt="a &quot;b&quot;"><img src=x.png /><br/><hr>',
    "tables": "<table border=0><tr><td>1<td>2<tr><th>3</table><table><thead><tr><td>4</td></tr></thead><tr><td>5</td></tr></table>",
    "lists": "<ul><li>1<li>2<ul><li>3</ul><li>4</ul><dl><dt>a<dd>b<dt>c</dl>",
    "paragraphs": "<p>1<p>2<div>3<p>4</div>5</p>6",
    "comments": "<!-- before --><p>a<!-- in --></p><!--[if mso]><p>mso</p><![endif]-->",
    "unknown elements": "<o:p>1</o:p><my-tag>2</my-tag><center><font color='red'>3</font></center>",
    "data attributes": "<p data-test='1' data-Upper=2 aria-label=x id=i name=n style='color: red' weird=1 checked>x</p>",
    "unclosed": "<div><b>a<i>b",
    "styles": "<style>a{}</style><style><!-- a{} --></style><p>x</p><style>b{}</style>",
    "link elements": '<head><link rel="stylesheet" href="https://x.example/a.css"></head><base href="x"><p>x</p>',
    "forms": '<form action="/x" method=post><input type=text value=" v " required><select><option>1<option selected>2</select>'
    "<textarea> t </textarea><button>b</button></form>",
    "nested tables": "<!doctype html><p>1<table><tr><td><table><tr><th><p>2</td></tr></table>3</table>4",
    "tables without a doctype": "<p>1<table><tr><td>2</table>3</p>",
    "preformatted": "<pre>\n a\n b</pre>\n<textarea>\nc</textarea><pre></pre>\nd",
    "stray end tags": "<table><tr><td></div></p>1</br>2</table></td></b>3",
    "leading space": "\n\n  <p>x</p>\n\n",
}


@pytest.fixture(scope="module")
def maildev(mail_server_at: At) -> Iterator[MailServer]:
    """MailDev in a container of its own."""
    yield from _maildev(mail_server_at)


@pytest.fixture(scope="module")
def guarded_maildev(mail_server_at: At) -> Iterator[MailServer]:
    """MailDev that asks for credentials."""
    yield from _maildev(mail_server_at, *(word for name, value in CREDENTIALS.items() for word in ("-e", f"{name}={value}")))


def _maildev(at: At, *options: str) -> Iterator[MailServer]:
    name = f"maildev-check-{uuid.uuid4().hex[:8]}"
    ports = ["-p", "127.0.0.1::1025", "-p", "127.0.0.1::1080"]
    subprocess.run(["docker", "run", "-d", "--name", name, *ports, *options, IMAGE], check=True, capture_output=True)
    try:
        server = at(_port(name, 1025), _port(name, 1080))
        _wait_for(server)
        yield server
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", name], check=True, capture_output=True)


def _port(name: str, inside: int) -> int:
    shown = subprocess.run(["docker", "port", name, str(inside)], check=True, capture_output=True, text=True).stdout
    return int(shown.split()[0].rpartition(":")[2])


def _wait_for(server: MailServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.get("/healthz")
            server.connect().close()
            return
        except (OSError, EOFError):
            assert time.monotonic() < deadline, "MailDev did not start"
            time.sleep(0.05)


@pytest.fixture
def both(maildev: MailServer, mail: MailServer) -> tuple[MailServer, MailServer]:
    """MailDev and ours. Nothing is deleted between tests: two deletions right after each other can crash MailDev."""
    return maildev, mail


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """What must be the same: all but the names, the place and the moment that each side chooses."""
    shown = {name: value for name, value in document.items() if name not in ("id", "source", "size", "sizeHuman")}
    if "date" not in document:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown.pop("time"))
    assert shown["envelope"].pop("remoteAddress")
    return shown


def measured(server: MailServer, raw: bytes) -> dict[str, Any]:
    """What the API lists after one message; MailDev at times takes the size of its file before that is written."""
    deadline = time.monotonic() + 60
    while True:
        listed = server.take(raw, recipients=ALL)
        if listed["size"] == len(server.get(f"/email/{listed['id']}/source").body) >= len(raw):
            return listed
        assert time.monotonic() < deadline


def everything(server: MailServer, raw: bytes) -> dict[str, Any]:
    """All that the API tells of a message."""
    listed = measured(server, raw)
    base = f"/email/{listed['id']}"
    assert listed["source"].endswith(f"/{listed['id']}.eml")
    page = server.get(f"{base}/html")
    return {
        "listed": comparable(listed),
        "size": (listed["size"], listed["sizeHuman"]),
        "html": (page.status, page.text.replace(f":{server.web_port}", "").replace(listed["id"], "ID")),
        "shown": comparable(server.get(base).json),
        "files": {
            name: (reply.status, reply.headers.get("Content-Type"), reply.body)
            for name in sorted({one["generatedFileName"] for one in listed["attachments"] or () if one.get("contentType")})
            for reply in [server.get(f"{base}/attachment/{name}")]
        },
        "source": server.get(f"{base}/source").body,
        "download": server.get(f"{base}/download").body,
    }


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_shown_as_by_maildev(both: tuple[MailServer, MailServer], name: str) -> None:
    theirs, ours = (everything(server, MESSAGES[name]) for server in both)

    assert ours == theirs


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_cleaned_as_by_maildev(both: tuple[MailServer, MailServer], name: str) -> None:
    raw = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + PAGES[name].replace("\n", "\r\n").encode()

    theirs, ours = (everything(server, raw) for server in both)

    assert ours == theirs


QUERIES = [
    "",
    "?skip=1",
    "?skip=x",
    "?skip=-1",
    "?skip=99",
    "?subject=two",
    "?subject=none",
    "?from.address=ann@example.org",
    "?from.name=Ann",
    "?to.address=b@example.org&subject=two",
    "?headers.x-tag=a",
    "?headers.x-tag=b",
    "?read=false",
    "?subject=two&skip=1",
    "?envelope.from.address=sender@example.org",
    "?envelope.to.address=to@example.org",
    "?subject=one&subject=two",
    "?attachments.fileName=a.txt",
    "?nothing.at.all=",
    "?priority=high",
    "?subject=&x",
    "?calculatedBcc.address=to@example.org",
]


def test_a_query_selects_as_maildev_does(both: tuple[MailServer, MailServer]) -> None:
    def selected(server: MailServer) -> dict[str, list[str]]:
        server.call("DELETE", "/email/all")
        server.take(
            lines("From: Ann <ann@example.org>", "To: a@example.org, b@example.org", "Subject: one", "X-Tag: a", "X-Tag: b", "", "")
        )
        server.take(lines("From: ann@example.org", "To: b@example.org", "Subject: two", "X-Tag: a", "Importance: high", "", ""))
        server.take(attached())
        return {query: [one["subject"] for one in server.get(f"/email{query}").json] for query in QUERIES}

    theirs, ours = map(selected, both)

    assert theirs[""] == ["one", "two", "files"]
    assert ours == theirs


REQUESTS = [
    "GET /email/x",
    "GET /email/x/html",
    "GET /email/x/source",
    "GET /email/x/download",
    "GET /email/x/attachment/y",
    "DELETE /email/x",
    "GET /email/ID/attachment/y",
    "GET /email/ID/html",
    "GET /EMAIL/ID/",
    "GET /email/read-all",
    "PATCH /email/x",
    "PATCH /email/read-all",
    "PUT /email",
    "GET /nothing",
    "GET /no<thing",
    "POST /email/x/relay",
    "POST /email/ID/relay",
    "POST /email/ID/relay/bad",
    "GET /healthz",
    "HEAD /healthz",
    "OPTIONS /email",
    "DELETE /email/ID",
    "DELETE /email/all",
]


@pytest.mark.parametrize("request_line", REQUESTS)
def test_a_request_is_answered_as_by_maildev(both: tuple[MailServer, MailServer], request_line: str) -> None:
    def answered(server: MailServer) -> Any:
        server.call("PATCH", "/email/read-all")
        identity = server.take(lines("Subject: x", "", "text"))["id"]
        method, path = request_line.replace("ID", identity).split()
        reply = server.call(method, path)
        names = ("Content-Type", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Content-Security-Policy")
        body = re.sub(r'"(id|source|time|remoteAddress|size|sizeHuman)":("[^"]*"|[0-9]+)', "", reply.text).replace(identity, "ID")
        return reply.status, {name: reply.headers.get(name) for name in names}, body

    theirs, ours = map(answered, both)

    assert ours == theirs


def test_the_configuration_is_that_of_maildev(both: tuple[MailServer, MailServer]) -> None:
    theirs, ours = ({**server.get("/config").json, "smtpPort": ""} for server in both)

    assert ours == theirs


def test_a_reload_shows_what_maildev_shows(both: tuple[MailServer, MailServer]) -> None:
    def reloaded(server: MailServer) -> Any:
        known = server.listed().keys()
        identity = server.take(plain())["id"]
        assert server.get("/reloadMailsFromDirectory").json is True
        (message,) = (one for one in server.wait_for(len(known) + 1) if one["id"] == identity)
        return comparable(message)

    theirs, ours = map(reloaded, both)

    assert ours == theirs


DIALOGUES = {
    "a message": ["EHLO Me.Example", "MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>", "DATA", "Subject: x\r\n\r\n.", "QUIT"],
    "no greeting": ["MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>", "DATA", "NOOP", "RSET"],
    "out of order": ["HELO me", "RCPT TO:<b@x.org>", "DATA", "MAIL FROM:<a@x.org>", "DATA", "MAIL FROM:<a@x.org>", "RSET", "DATA"],
    "null sender": ["EHLO me", "MAIL FROM:<>", "RCPT TO:<>", "RCPT TO:<b@x.org>", "DATA", "x\r\n."],
    "no brackets": ["EHLO me", "MAIL FROM:a@x.org", "MAIL FROM <a@x.org>", "MAIL FROM: <a@x.org>", "RCPT TO:b@x.org"],
    "bad addresses": [
        "EHLO me",
        "MAIL FROM:<a>",
        "MAIL FROM:<a@>",
        "MAIL FROM:<a@b@c>",
        "MAIL FROM:<.a@x.org>",
        "MAIL FROM:<a@-x>",
        "MAIL FROM:<a@x..y>",
    ],
    "odd addresses": [
        "EHLO me",
        "MAIL FROM:<a+b.c_d=e@x-y.org>",
        "RCPT TO:<postmaster>",
        "RCPT TO:<a@[127.0.0.1]>",
        "RCPT TO:<a@localhost>",
        "RCPT TO:<@relay.org:a@x.org>",
        "RCPT TO:<jörg@exämple.org>",
        "RCPT TO:<a@xn--exmple-cua.org>",
        "DATA",
        "x\r\n.",
    ],
    "parameters": [
        "EHLO me",
        "MAIL FROM:<a@x.org> size=10 BODY=8bitmime SMTPUTF8 X=y",
        "RCPT TO:<b@x.org> NOTIFY=NEVER Z",
        "DATA",
        "x\r\n.",
    ],
    "recipient twice": ["EHLO me", "MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>", "RCPT TO:<c@x.org>", "RCPT TO:<B@x.org>", "DATA", "x\r\n."],
    "unknown": ["EHLO me", "BOGUS", "AUTH PLAIN AGEAYg==", "NOOP x", "EHLO", "HELO"],
    "lower case": ["ehlo me", "mail from:<a@x.org>", "rcpt to:<b@x.org>", "data", "x\r\n.", "quit"],
    "dots": ["EHLO me", "MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>", "DATA", "..\r\n..x\r\n...\r\nend\r\n."],
}
WITH_LOGIN = {
    "none": ["EHLO me", "NOOP", "RSET", "MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>", "DATA"],
    "plain": ["EHLO me", "AUTH PLAIN AG1lAHNlOmNyZXQ=", "MAIL FROM:<a@x.org>", "RCPT TO:<b@x.org>"],
    "plain, asked": ["EHLO me", "AUTH PLAIN", "AG1lAHNlOmNyZXQ=", "MAIL FROM:<a@x.org>"],
    "plain, wrong": ["EHLO me", "AUTH PLAIN AG1lAHg=", "MAIL FROM:<a@x.org>", "AUTH PLAIN AG1lAHNlOmNyZXQ=", "MAIL FROM:<a@x.org>"],
    "plain, no name": ["EHLO me", "AUTH PLAIN AAA="],
    "login": ["EHLO me", "AUTH LOGIN", "bWU=", "c2U6Y3JldA==", "MAIL FROM:<a@x.org>"],
    "login, at once": ["EHLO me", "auth login bWU=", "c2U6Y3JldA=="],
    "login, wrong": ["EHLO me", "AUTH LOGIN", "bWU=", "eA==", "MAIL FROM:<a@x.org>"],
    "given up": ["EHLO me", "AUTH LOGIN", "*", "NOOP"],
    "another": ["EHLO me", "AUTH CRAM-MD5"],
    "no greeting": ["AUTH PLAIN AG1lAHNlOmNyZXQ="],
}


def converse(server: MailServer, dialogue: list[str]) -> list[tuple[str, int]]:
    """The dialogue with the code of each answer."""
    with server.connect() as connection:
        said = []
        for words in dialogue:
            connection.send(f"{words}\r\n".encode())
            said.append((words, connection.getreply()[0]))
        return said


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_dialogue_goes_as_with_maildev(both: tuple[MailServer, MailServer], name: str) -> None:
    arrives = DIALOGUES[name][-1].endswith(".") or DIALOGUES[name][-1].upper() == "QUIT"

    def held(server: MailServer) -> Any:
        known = server.listed()
        codes = converse(server, DIALOGUES[name])
        kept = server.wait_for(int(arrives), known)
        return codes, [(comparable(one), server.get(f"/email/{one['id']}/source").body) for one in kept]

    theirs, ours = map(held, both)

    assert ours == theirs


@pytest.fixture(scope="module")
def guarded_mail(start_mail: Start) -> MailServer:
    """Ours, asking for the same credentials."""
    return start_mail(**CREDENTIALS)


@pytest.mark.parametrize("name", WITH_LOGIN)
def test_a_login_goes_as_with_maildev(guarded_maildev: MailServer, guarded_mail: MailServer, name: str) -> None:
    assert converse(guarded_mail, WITH_LOGIN[name]) == converse(guarded_maildev, WITH_LOGIN[name])


@pytest.mark.parametrize("given", ["", "me:se", "me:se:cret", "me:", "me", ":se", "you:se", "me:sé", "Bearer"])
def test_the_page_lets_in_whom_maildev_lets_in(guarded_maildev: MailServer, guarded_mail: MailServer, given: str) -> None:
    word = f"Basic {base64.b64encode(given.encode()).decode()}" if given != "Bearer" else "Bearer x"
    headers = {"Authorization": word} if given else {}

    def answered(server: MailServer, request_line: str) -> tuple[int, str | None, bool]:
        reply = server.call(*request_line.split(), headers)
        return reply.status, reply.headers.get("WWW-Authenticate"), reply.text == "Unauthorized"

    requests = ["GET /", "GET /email", "GET /email/x", "DELETE /email/x", "OPTIONS /email", "GET /healthz", "GET /healthz/", "GET /nothing"]
    theirs, ours = ({line: answered(server, line) for line in requests} for server in (guarded_maildev, guarded_mail))

    assert ours == theirs
