"""The SMTP server, based on aiosmtpd. It limits neither messages nor recipients, like Mailpit as the kind configures it."""

from __future__ import annotations

import asyncio
import collections
import logging
import socket
import warnings
from collections.abc import Callable, Sequence

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from .inbox import Inbox, Unreadable

Login = Callable[[bytes, bytes], bool]
"""Returns whether a user name and a password are correct."""

_COMMAND_LIMIT = 16384
_PARAMETERS = ("BODY", "SIZE", "SMTPUTF8")


def serve_smtp(listener: socket.socket, inbox: Inbox, login: Login | None) -> None:
    """Receive messages until the process ends; *login* checks passwords, None accepts messages without a login."""
    logging.getLogger("mail.log").disabled = True
    warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
    asyncio.run(_serve(listener, inbox, login))


async def _serve(listener: socket.socket, inbox: Inbox, login: Login | None) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    # Accepted connections inherit the option. asyncio sets it only on sockets that it has created; without it, a message takes 40 ms more.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = await loop.create_server(lambda: Conversation(inbox, login, loop), sock=listener)
    await server.serve_forever()


class Conversation(SMTP):
    """One SMTP connection. Without a *login*, no client has to log in, and every login succeeds."""

    line_length_limit = 1 << 30
    command_size_limit = _COMMAND_LIMIT

    def __init__(self, inbox: Inbox, login: Login | None, loop: asyncio.AbstractEventLoop) -> None:
        self.command_size_limits = collections.defaultdict(lambda: _COMMAND_LIMIT)
        super().__init__(
            _Handler(inbox),
            data_size_limit=None,
            enable_SMTPUTF8=True,
            hostname="localhost",  # the default, the machine's name, would be looked up for each connection
            ident="Mailpit ESMTP Service ready",
            auth_required=login is not None,
            auth_require_tls=False,
            authenticator=lambda _server, _session, _envelope, _mechanism, given: _judged(login, given),
            loop=loop,
        )

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Handle AUTH. The mechanism may be in upper or lower case."""
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        """Return the known parameters of a command. Mailpit ignores unknown ones."""
        found = super()._getparams(params)
        return None if found is None else {name: value for name, value in found.items() if name in _PARAMETERS}


class _Handler:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, server: Conversation, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the message in the inbox before the sender receives the reply."""
        sender = (envelope.mail_from or "").removeprefix("<>")  # aiosmtpd passes an empty sender as `<>`
        username = session.auth_data.login.decode("utf-8", "replace") if isinstance(session.auth_data, LoginPassword) else ""
        try:
            message = self._inbox.add(sender, envelope.rcpt_tos, envelope.original_content or b"", username)
            return f"250 2.0.0 Ok: queued as {message.id}"
        except Unreadable:
            return "451 4.3.5 Unable to process mail"


def _judged(login: Login | None, given: LoginPassword) -> AuthResult:
    return AuthResult(success=login is None or login(given.login, given.password), handled=False, auth_data=given)
