"""The SMTP side: aiosmtpd, with the answers of the server that MailDev uses."""

from __future__ import annotations

import asyncio
import collections
import logging
import socket
import warnings
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from .envelope import parse_path
from .inbox import Inbox

_NO_LIMIT = 1 << 30
_COMMAND_LIMIT = 16384


class Credentials(NamedTuple):
    """A name and its password."""

    name: str
    password: str


def serve_smtp(listener: socket.socket, inbox: Inbox, credentials: Credentials | None) -> None:
    """Take messages until the process ends."""
    logging.getLogger("mail.log").disabled = True
    warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
    asyncio.run(_serve(listener, inbox, credentials))


async def _serve(listener: socket.socket, inbox: Inbox, credentials: Credentials | None) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    # Accepted connections inherit it. asyncio leaves it out for sockets it did not make, which costs 40 ms each.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = await loop.create_server(lambda: Conversation(inbox, credentials, loop), sock=listener)
    await server.serve_forever()


class Transaction(Envelope):
    """What MAIL and RCPT said, with their parameters, which aiosmtpd drops."""

    def __init__(self) -> None:
        super().__init__()
        self.sender: dict[str, Any] | None = None
        self.recipients: dict[str, dict[str, Any]] = {}


class Conversation(SMTP):
    """One connection."""

    line_length_limit = _NO_LIMIT
    command_size_limit = _COMMAND_LIMIT
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, inbox: Inbox, credentials: Credentials | None, loop: asyncio.AbstractEventLoop) -> None:
        self.command_size_limits = collections.defaultdict(lambda: _COMMAND_LIMIT)
        super().__init__(
            _Handler(inbox, credentials is not None),
            data_size_limit=None,
            enable_SMTPUTF8=True,
            hostname="localhost",  # the machine's own name would be looked up anew for each connection
            ident="ESMTP",
            auth_required=credentials is not None,
            auth_require_tls=False,
            authenticator=lambda _server, _session, _envelope, _mechanism, given: _judge(given, credentials),
            loop=loop,
        )
        self._credentials = credentials

    def _create_envelope(self) -> Envelope:
        return Transaction()

    def _transaction(self) -> Transaction:
        assert isinstance(self.envelope, Transaction)
        return self.envelope

    async def check_auth_needed(self, caller_method: str) -> bool:
        """Refuse what needs a login first, and only that."""
        assert self.session is not None
        needed = self._credentials is not None and not self.session.authenticated and caller_method in ("MAIL", "RCPT", "DATA")
        if needed:
            await self.push("530 Error: authentication Required")
        return needed

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """A mechanism in any case of letters, and none at all where no login is asked for."""
        if self._credentials is None:
            await self.push("500 Error: command not recognized")
            return
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """Take the sender, with any parameters; the null sender too."""
        if await self.check_helo_needed() or await self.check_auth_needed("MAIL"):
            return
        path = _path("FROM:", arg)
        if path is None:
            await self.push("501 Error: Bad sender address syntax")
        elif self._transaction().sender is not None:
            await self.push("503 Error: nested MAIL command")
        else:
            self._transaction().sender = path
            await self.push("250 Accepted")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """Take a recipient; the same one again replaces the first."""
        if await self.check_helo_needed() or await self.check_auth_needed("RCPT"):
            return
        path = _path("TO:", arg)
        if path is None or not path["address"]:
            await self.push("501 Error: Bad recipient address syntax")
        elif self._transaction().sender is None:
            await self.push("503 Error: need MAIL command")
        else:
            self._transaction().recipients[path["address"].lower()] = path
            self._transaction().rcpt_tos.append(path["address"])  # what DATA looks at
            await self.push("250 Accepted")


class _Handler:
    """What aiosmtpd asks us."""

    def __init__(self, inbox: Inbox, with_login: bool) -> None:
        self._inbox = inbox
        self._with_login = with_login

    async def handle_EHLO(  # noqa: N802
        self, server: Conversation, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Announce what MailDev announces."""
        session.host_name = hostname
        features = ["PIPELINING", "8BITMIME", "SMTPUTF8"] + ["AUTH PLAIN LOGIN"] * self._with_login
        return [f"250-{server.hostname} Nice to meet you"] + [f"250-{name}" for name in features[:-1]] + [f"250 {features[-1]}"]

    async def handle_DATA(self, server: Conversation, session: Session, envelope: Transaction) -> str:  # noqa: N802
        """Keep the message; it is in the inbox when its sender learns that it was taken."""
        said = {
            "from": envelope.sender,
            "to": [*envelope.recipients.values()],
            "host": (session.host_name or "").lower(),
            "remoteAddress": (session.peer or ("",))[0],
        }
        return f"250 Message queued as {self._inbox.add(envelope.original_content or b'', said).id}"


def _path(keyword: str, arg: str | None) -> dict[str, Any] | None:
    given = arg or ""
    return parse_path(given[len(keyword) :]) if given[: len(keyword)].upper() == keyword else None


def _judge(given: LoginPassword, credentials: Credentials | None) -> AuthResult:
    if not given.login or not given.password:
        return AuthResult(success=False, handled=False, message="535 Username and password must be provided")
    known = credentials and (credentials.name.encode(), credentials.password.encode())
    if (given.login, given.password) != known:
        return AuthResult(success=False, handled=False, message="535 Invalid username or password")
    return AuthResult(success=True, auth_data=given, message="235 Authentication successful")
