"""Parse a message into its headers, texts and files, with the standard library's `email`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import EmailPolicy, compat32
from html.parser import HTMLParser
from typing import Any, NamedTuple, cast

_FOLD = re.compile(r"\s*\r?\n\s*")
_BYTES = "application/octet-stream"
_SHOWN = ("text/plain", "text/html")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_BLOCK = re.compile("br|p|div|t[dhr]|h[1-6r]|li|[uod]l|d[dt]|pre|table|blockquote|section|article|header|footer")
_HIDDEN = ("title", "script", "style")


class _Policy(EmailPolicy):
    def header_fetch_parse(self, name: str, value: str) -> Any:
        try:
            # The library keeps the blank between two encoded words in a name, which RFC 2047 says to ignore.
            return super().header_fetch_parse(name, _BETWEEN_WORDS.sub("", unfolded(value)))
        except Exception:  # the library's parser has many ways to fail on a malformed header
            return unfolded(value)


_POLICY = _Policy()


def parsed(raw: bytes) -> EmailMessage:
    """Parse a message. Malformed messages are parsed as well as possible."""
    return cast(EmailMessage, message_from_bytes(raw, policy=_POLICY))


def unfolded(value: str) -> str:
    """Return the value of a header as one line. Bytes beyond ASCII are decoded as UTF-8."""
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _FOLD.sub(" ", text).strip()


def headers_of(message: EmailMessage) -> dict[str, list[str]]:
    """Return the unfolded values of each header, by its canonical name."""
    found: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        found.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(unfolded(str(value)))
    return dict(sorted(found.items()))


def addresses_of(message: EmailMessage, name: str) -> list[dict[str, str]]:
    """Return the addresses in all headers called *name*; none if one of them is not an address."""
    given = [one for header in message.get_all(name, []) for one in getattr(header, "addresses", ())]
    found = [{"Name": one.display_name, "Address": one.addr_spec} for one in given]
    return found if all("@" in address["Address"].strip("@<>") for address in found) else []


class Part(NamedTuple):
    """A part of a message that has no parts itself. The content of a text is in UTF-8."""

    id: str
    kind: str
    disposition: str
    name: str
    content_id: str
    content: bytes

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def document(self) -> dict[str, Any]:
        """The description of the part in Mailpit's API."""
        return {
            "PartID": self.id,
            "FileName": self.name or self.content_id,
            "ContentType": self.kind,
            "ContentID": self.content_id,
            "Size": len(self.content),
            "Checksums": {name.upper(): hashlib.new(name, self.content).hexdigest() for name in ("md5", "sha1", "sha256")},
        }


class Content:
    """The texts and files of a message.

    Attributes:
        inline: the inline files, including files without a disposition.
        attachments: all other files.
        html: the HTML; empty if there is none.
        text: the plain text, derived from the HTML if there is none.
    """

    def __init__(self, message: EmailMessage) -> None:
        parts = list(_parts(message))
        is_alone = message.get_content_maintype() != "multipart"
        shown = [part for part in parts if part.kind in _SHOWN and part.disposition != "attachment"]
        others = [part for part in parts if part.kind not in _SHOWN or part.disposition]
        self.inline = [part for part in others if part.disposition == "inline" or not (part.disposition or is_alone or part.kind == _BYTES)]
        self.attachments = [part for part in others if part not in self.inline]
        self.html = next((part.text for part in shown if part.kind == "text/html"), "")
        texts = [part.text for part in shown if part.kind == "text/plain"]
        self.text = "\n--\n".join(texts) or text_of_html(self.html)


def _parts(part: EmailMessage, number: str = "0") -> Iterator[Part]:
    """Yield the parts with Mailpit's numbers: `1`, `2`, `2.1`; `0` for a message with only one part."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        prefix = "" if number == "0" else f"{number}."
        for index, inner in enumerate(part.iter_parts(), 1):
            yield from _parts(cast(EmailMessage, inner), f"{prefix}{index}")
        return
    content_id = str(part.get("Content-ID", "")).strip("<>")
    yield Part(number, part.get_content_type(), part.get_content_disposition() or "", part.get_filename() or "", content_id, _bytes(part))


def _bytes(part: EmailMessage) -> bytes:
    if part.is_multipart():
        return b"".join(inner.as_bytes(policy=compat32.clone(linesep="\r\n")) for inner in part.iter_parts())
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    if part.get_content_maintype() != "text":
        return content
    try:
        return content.decode(part.get_content_charset("utf-8" if "Content-Type" in part else "cp1252"), "replace").encode()
    except LookupError:
        return content


def text_of_html(html: str) -> str:
    """Return the visible text of an HTML page, with one line for each block and the URLs of links in parentheses."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.found).split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._link, self._hidden = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._link = dict(attrs).get("href") or ""
        self._hidden = tag in _HIDDEN
        self._end_line(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link.startswith("http"):
            self.found.append(f" ( {self._link} ) ")
        self._hidden = False
        self._end_line(tag)

    def _end_line(self, tag: str) -> None:
        self.found += ["\n"] if _BLOCK.fullmatch(tag) else []

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(" ".join(re.split(r"\s+", data)))
