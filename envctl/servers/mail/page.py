"""The page at `/`: the messages, newest first, and one of them in full."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .message import Message

_STYLE = """body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
table { border-collapse: collapse; width: 100% } td { padding: .3em .6em; border-bottom: 1px solid #ddd }
.unread { font-weight: bold } pre { white-space: pre-wrap; overflow-wrap: anywhere } iframe { width: 100%; height: 30em }"""


def render(messages: Sequence[Message], shown: Message | None) -> str:
    """The page; *shown* is the message to show, if any."""
    rows = "".join(map(_row, messages)) or "<tr><td>No message yet</td></tr>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mail ({len(messages)})</title><style>{_STYLE}</style></head>'
        f"<body><h1>Mail</h1>{_message(shown) if shown else ''}<table>{rows}</table></body></html>"
    )


def _row(message: Message) -> str:
    link = f'<a href="/view/{message.id}">{escape(message.content["Subject"] or "(no subject)")}</a>'
    people = escape(f"{message.content['From']['Address']} → {', '.join(message.recipients)}")
    return f'<tr class="{"read" if message.read else "unread"}"><td>{link}</td><td>{people}</td><td>{message.created:%H:%M:%S}</td></tr>'


def _message(message: Message) -> str:
    api = f"/api/v1/message/{message.id}"
    headers = "\n".join(f"{name}: {value}" for name, values in message.headers.items() for value in values)
    # In a frame without rights: nothing of a message runs.
    html = f'<iframe sandbox src="/view/{message.id}.html"></iframe>' if message.html else ""
    files = [(f"{api}/part/{part.id}", part.name or part.content_id or part.kind) for part in [*message.attachments, *message.inline]]
    links = "".join(f'<li><a href="{where}">{escape(name)}</a></li>' for where, name in [*files, (f"{api}/raw", "source")])
    return f"<pre>{escape(headers)}</pre>{html}<pre>{escape(message.text)}</pre><ul>{links}</ul>"
