"""The page at `/`: the messages, newest first, with links to what each of them holds."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .message import Message

_STYLE = "body { font: 15px/1.4 sans-serif } td { padding: .3em .6em; border-bottom: 1px solid #ddd } .unread { font-weight: bold }"


def render(messages: Sequence[Message]) -> str:
    """The page."""
    rows = "".join(map(_row, messages)) or "<tr><td>No message yet</td></tr>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mail ({len(messages)})</title><style>{_STYLE}</style></head>'
        f"<body><h1>Mail</h1><table>{rows}</table></body></html>"
    )


def _row(message: Message) -> str:
    subject = message.content["Subject"] or "(no subject)"
    people = f"{message.content['From']['Address']} → {', '.join(message.recipients)}"
    cells = f"<td>{message.created:%H:%M:%S}</td><td>{escape(people)}</td><td>{escape(subject)}</td><td>{' '.join(_links(message))}</td>"
    return f'<tr class="{"read" if message.read else "unread"}">{cells}</tr>'


def _links(message: Message) -> list[str]:
    api = f"/api/v1/message/{message.id}"
    shown = [
        (f"/view/{message.id}.txt", "text"),
        *([(f"/view/{message.id}.html", "HTML")] if message.html else []),
        (f"{api}/raw", "source"),
    ]
    files = [(f"{api}/part/{part.id}", part.name or part.content_id or part.kind) for part in [*message.attachments, *message.inline]]
    return [f'<a href="{where}">{escape(name)}</a>' for where, name in [*shown, *files]]
