"""The headers of a part: what each one says, in MailDev's names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import dates
from .addresses import parse_addresses
from .parameters import file_name_in, parse_parameters
from .words import SPACE, decode, replace_words

if TYPE_CHECKING:
    from .parts import Part

_PRIORITIES = {"non-urgent": "low", "low": "low", "urgent": "high", "high": "high"}
_CHARSETS = ((r"win-(.*)", r"windows-\1"), (r"utf(\d.*)", r"utf-\1"), (r"latin[-_]?(\d+)", r"iso-8859-\1"), (r"(us-)?ascii", "utf-8"))


def read_header(part: Part, line: str) -> None:
    """Take one unfolded line into a part."""
    name, _, value = line.partition(":")
    if not line:
        return
    name, value = name.strip(SPACE).lower(), value.strip(SPACE)
    handler = _HANDLERS.get(name)
    text = replace_words((handler(part, value) if handler else None) or value)
    before = part.headers.get(name)
    if before:
        part.headers[name] = [*(before if isinstance(before, list) else [before]), text]
    else:
        part.headers[name] = text


def unquoted(value: str) -> str:
    """A value without the quotes or angle brackets around it."""
    value = value.strip(SPACE)
    return value[1:-1] if value[:1] + value[-1:] in ('""', "''", "<>") else value


def _content_type(part: Part, value: str) -> None:
    kind, parameters = parse_parameters(value)
    part.meta["contentType"] = kind.lower() or "application/octet-stream"
    if kind.lower().startswith("multipart/"):
        part.meta["mimeMultipart"] = kind.lower().removeprefix("multipart/")
    if charset := parameters.get("charset", "").lower():
        part.meta["charset"] = _charset(charset)
    for key, name in (("format", "textFormat"), ("delsp", "textDelSp")):
        if parameters.get(key):
            part.meta[name] = parameters[key].lower()
    for key, name in (("boundary", "mimeBoundary"), ("method", "method")):
        if parameters.get(key):
            part.meta[name] = parameters[key]
    name = file_name_in(parameters)
    if name and not part.meta.get("fileName"):
        part.meta["fileName"] = name


def _charset(name: str) -> str:
    for pattern, replacement in _CHARSETS:
        if found := re.fullmatch(pattern, name):
            return found.expand(replacement)
    return name


def _content_disposition(part: Part, value: str) -> None:
    kind, parameters = parse_parameters(value)
    if kind:
        part.meta["contentDisposition"] = kind.lower()
    if name := file_name_in(parameters):
        part.meta["fileName"] = name


def _subject(part: Part, value: str) -> None:
    # Bytes beyond ASCII are in the character set that the content has, if that was said before.
    part.fields["subject"] = replace_words(decode(value.encode("latin-1"), part.meta.get("charset", "iso-8859-1")))


def _addresses(field: str) -> Callable[[Part, str], None]:
    def handler(part: Part, value: str) -> None:
        part.fields[field] = part.fields.get(field, []) + parse_addresses(value)

    return handler


def _references(field: str) -> Callable[[Part, str], None]:
    def handler(part: Part, value: str) -> None:
        part.fields[field] = part.fields.get(field, []) + [unquoted(word) for word in re.split(rf"[{SPACE}]+", value)]

    return handler


def _meta(field: str, reading: Callable[[str], str]) -> Callable[[Part, str], None]:
    def handler(part: Part, value: str) -> None:
        part.meta[field] = reading(value)

    return handler


def _message_id(part: Part, value: str) -> None:
    part.meta["messageId"] = part.fields["messageId"] = unquoted(value)


def _priority(part: Part, value: str) -> str:
    found = re.match(r"[+-]?\d+", value)
    number = int(found[0][:9]) if found else 0
    named = _PRIORITIES.get(value.lower(), "normal")
    part.fields["priority"] = named if not found else "normal" if number == 3 else "low" if number > 3 else "high"
    return str(part.fields["priority"])


def _date(part: Part, value: str) -> None:
    part.meta["date"] = dates.parse(value) or False


def _received(part: Part, value: str) -> None:
    moment = dates.parse(value.rpartition(";")[2])
    latest = part.meta.get("receivedDate")
    if moment and (not latest or moment > latest):
        part.meta["receivedDate"] = moment
    elif value and not latest:
        part.meta["receivedDate"] = False


_HANDLERS: dict[str, Callable[[Part, str], str | None]] = {
    "content-type": _content_type,
    "content-disposition": _content_disposition,
    "content-transfer-encoding": _meta("transferEncoding", str.lower),
    "content-location": _meta("location", str.lower),
    "content-id": _meta("contentId", unquoted),
    "thread-index": _meta("threadIndex", str),
    "date": _date,
    "received": _received,
    "x-received": _received,
    "from": _addresses("from"),
    "reply-to": _addresses("replyTo"),
    "to": _addresses("to"),
    "cc": _addresses("cc"),
    "bcc": _addresses("bcc"),
    "subject": _subject,
    "message-id": _message_id,
    "references": _references("references"),
    "in-reply-to": _references("inReplyTo"),
    "x-priority": _priority,
    "x-msmail-priority": _priority,
    "importance": _priority,
}
