"""The page at `/`: the messages, newest first, and one of them in full."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inbox import Stored

_STYLE = """body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% } td { padding: .3em .6em; border-bottom: 1px solid #ddd; vertical-align: top }
.unread td { font-weight: bold } .time { white-space: nowrap; color: #666 } pre { white-space: pre-wrap; overflow-wrap: anywhere }
iframe { width: 100%; height: 30em; border: 1px solid #ddd }"""


def render(messages: Sequence[Stored], identity: str) -> str:
    """The page; `identity` is the message to show, if any."""
    shown = next((message.document for message in messages if message.id == identity), None)
    rows = "".join(_row(message.document) for message in reversed(messages)) or "<tr><td>No message yet</td></tr>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mail ({len(messages)})</title><style>{_STYLE}</style></head>'
        f"<body><h1>Mail</h1>{_message(shown) if shown else ''}<table>{rows}</table></body></html>"
    )


def _row(document: dict[str, Any]) -> str:
    cells = (_names(document.get("from")), _names(document.get("to")), document.get("subject", "(no subject)"))
    texts = [escape(cell) for cell in cells]
    texts[2] = f'<a href="?id={document["id"]}">{texts[2]}</a>'
    unread = "" if document["read"] else ' class="unread"'
    return f'<tr{unread}><td class="time">{document["time"][:19]}</td>{"".join(f"<td>{text}</td>" for text in texts)}</tr>'


def _message(document: dict[str, Any]) -> str:
    base = f"/email/{document['id']}"
    fields = "".join(
        f"<tr><td>{title}</td><td>{escape(_names(document.get(field)))}</td></tr>"
        for title, field in (("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "calculatedBcc"))
        if document.get(field)
    )
    files = [(f"{base}/attachment/{one['generatedFileName']}", one.get("fileName", "attachment")) for one in document["attachments"] or ()]
    links = " | ".join(f'<a href="{escape(url)}">{escape(name)}</a>' for url, name in [(f"{base}/source", "source"), *files])
    # The sandbox keeps whatever the message holds from acting in the name of this page.
    page = f'<iframe sandbox src="{base}/html"></iframe>' if "html" in document else ""
    text = f"<pre>{escape(document.get('text', ''))}</pre>"
    return f"<h2>{escape(document.get('subject', '(no subject)'))}</h2><table>{fields}</table><p>{links}</p>{page}{text}<hr>"


def _names(addresses: list[dict[str, Any]] | None) -> str:
    return ", ".join(" ".join(filter(None, (one.get("name"), one.get("address") and f"<{one['address']}>"))) for one in addresses or ())
