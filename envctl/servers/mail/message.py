"""A message as MailDev's API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from . import attachments, dates
from .bodies import bodies_of
from .parts import Part, take_apart

_FIELDS = ("subject", "references", "messageId", "inReplyTo", "priority", "from", "replyTo", "to", "cc", "bcc")
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


class Described(NamedTuple):
    """The document, and the bytes of its attachments by their generated names."""

    document: dict[str, Any]
    files: dict[str, bytes]


def describe(raw: bytes, envelope: dict[str, Any], about: dict[str, Any]) -> Described:
    """Take a message apart; `about` holds its id, where it is, and whether it was read."""
    root = take_apart(raw)
    attached, files = _attachments(root)
    moment = root.meta.get("date")
    document = {
        **bodies_of(root),
        "headers": root.headers,
        **{name: root.fields[name] for name in _FIELDS if root.fields.get(name) or root.fields.get(name) == []},
        **{name: root.meta[name] for name in ("date", "receivedDate") if root.meta.get(name)},
        "id": about["id"],
        "time": moment or dates.now(),
        "read": about["read"],
        "envelope": envelope,
        "source": about["source"],
        "size": len(raw),
        "sizeHuman": human_size(len(raw)),
        "attachments": attached or None,
        "calculatedBcc": _blind(envelope["to"], root),
    }
    return Described(_plain(document), files)


def human_size(size: int) -> str:
    """A size with at most two decimals."""
    unit = max(0, (size.bit_length() - 1) // 10)
    hundredths = (size * 200 + 1024**unit) // (2 * 1024**unit)
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") + f" {_UNITS[unit]}"


def _attachments(root: Part) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    described, files = [], {}
    for part in _all(root):
        if part.is_attachment:
            content = attachments.content_of(part.lines, part.meta.get("transferEncoding"))
            described.append(attachments.finished(part.meta, content))
            files[described[-1]["generatedFileName"]] = content
    return described, files


def _all(part: Part) -> list[Part]:
    return [part, *(found for child in part.children for found in _all(child))]


def _blind(recipients: list[dict[str, Any]] | str, root: Part) -> list[dict[str, str]]:
    """The recipients that no header names."""
    named = [address.get("address") for field in ("cc", "to") for address in root.fields.get(field, ())]
    blind = []
    for recipient in recipients:
        address = recipient["address"] if isinstance(recipient, dict) else ""
        if address in named:
            named.remove(address)
        else:
            blind.append({"address": address, "name": ""})
    return blind


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return dates.shown(value) if isinstance(value, datetime) else value
