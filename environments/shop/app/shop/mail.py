"""Mail by SMTP.

SMTP_URL is `smtp://user:password@host:port`, percent-encoded; without credentials, the client does not log in.
"""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from shop.events import Event


def send(url: str, message: EmailMessage) -> None:
    parts = urlsplit(url)
    with smtplib.SMTP(parts.hostname or "", parts.port or 25, timeout=5) as server:
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)


def confirmation(event: Event) -> EmailMessage:
    order, customer = event["order"], event["customer"]
    message = EmailMessage()
    message["From"] = "Shop <orders@shop.example>"
    message["To"] = customer["email"]
    message["Subject"] = f"Your order {order['id']}"
    # Every delivery of an event has the same id, so that a mail server can drop a duplicate.
    message["Message-ID"] = f"<{order['id']}@shop.example>"
    message.set_content(f"Hello {customer['name']},\n\nthank you for your order of {_amount(order['total_cents'])}.\n")
    return message


def _amount(cents: int) -> str:
    return f"{cents / 100:.2f} €"
