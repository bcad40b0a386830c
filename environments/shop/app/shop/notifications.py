"""The notification worker: `python -m shop.notifications` sends a confirmation mail for every order."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import smtplib
from contextlib import suppress
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg

from shop import broker, mail
from shop.events import ORDER_CREATED
from shop.settings import setting

log = logging.getLogger("shop.notifications")


@dataclass(frozen=True)
class Notifier:
    smtp_url: str = field(repr=False)

    async def handle(self, message: Msg) -> None:
        """Send the mail and respond with an empty message, or with the reason why the event must be delivered again."""
        reason = await self._notify(message.data)
        if message.reply:
            await message.respond(reason.encode())

    async def _notify(self, data: bytes) -> str:
        try:
            confirmation = mail.confirmation(json.loads(data))
        except (ValueError, KeyError, TypeError) as error:
            log.error("an event that cannot be read is dropped: %r", error)
            return ""
        try:
            await asyncio.to_thread(mail.send, self.smtp_url, confirmation)
        except (smtplib.SMTPException, OSError) as error:
            return f"no mail to {confirmation['To']}: {error!r}"
        return ""


async def work(notifier: Notifier, nats_url: str) -> None:
    client = Client()
    try:
        await broker.connect(client, nats_url, "notifications")
        # In a queue group, only one of several workers gets each event.
        await client.subscribe(ORDER_CREATED, queue="notifications", cb=notifier.handle)
        # The answer to the flush proves that the broker knows the subscription.
        await client.flush()
        print(f"ready: subscribed to {ORDER_CREATED}", flush=True)
        await asyncio.Event().wait()
    finally:
        await client.close()


async def main() -> None:
    working = asyncio.create_task(work(Notifier(setting("SMTP_URL")), setting("NATS_URL")))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
