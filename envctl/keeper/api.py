"""The keeper's HTTP API: check the token of each request and call its route. The routes are in `routes/`, one module for each subject."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from envctl.keeper.routing import SCOPES, TORN_DOWN, Call, Route, reply
from envctl.servers.http.message import Request, Response
from envctl.servers.http.server import Settings
from envctl.servers.http.wire import Limits, Refused

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper

SETTINGS = Settings(
    Limits(line=8192, headers=100, body=16 * 1024 * 1024), connections=256, idle=300.0, patience=30.0, strangers=64, first=5.0
)  # fmt: skip


class Tokens:
    """The scopes of each token. A route requires one scope."""

    def __init__(self, scopes: Mapping[str, Collection[str]]) -> None:
        """Store the tokens.

        Args:
            scopes: token to the names of its scopes.

        Raises:
            ValueError: a scope is unknown.
        """
        for unknown in {scope for each in scopes.values() for scope in each} - set(SCOPES):
            raise ValueError(f"a token has the unknown scope {unknown}; known: {', '.join(SCOPES)}")
        self._scopes = {f"Bearer {token}".encode(): frozenset(each) for token, each in scopes.items()}

    def scopes_of(self, authorization: str) -> frozenset[str]:
        """Return the scopes of the token in an `Authorization` header; an empty set if the token is unknown."""
        given, found = authorization.encode(), frozenset[str]()
        for expected, scopes in self._scopes.items():  # always all tokens, so that the time reveals nothing about them
            if hmac.compare_digest(given, expected):
                found = scopes
        return found

    def without(self, scope: str) -> Tokens:
        """Return a copy in which no token has *scope*."""
        found = Tokens({})
        found._scopes = {token: scopes - {scope} for token, scopes in self._scopes.items()}
        return found


class Api:
    """The application that answers requests on a port of 127.0.0.1, to which every local user can connect, or on the private socket.

    A request without a known token is refused before its body is read. So is a request with another `Host`: a web page in a browser
    can send one if its own host name resolves to 127.0.0.1 (DNS rebinding).
    """

    def __init__(self, keeper: Keeper, tokens: Tokens, port: int, routes: Sequence[Route]) -> None:
        self._keeper, self._tokens, self._routes = keeper, tokens, routes
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    def admit(self, request: Request) -> None:
        """Check the head of a request.

        Raises:
            Refused: the `Host` is another one (403), or the token is missing or unknown (401).
        """
        if _only(request, "Host").lower() not in self._hosts:
            raise Refused(403, "requests are for 127.0.0.1 only")
        if not self._scopes(request):
            raise Refused(401, "the token is missing or wrong")

    def answer(self, request: Request) -> Response:
        """Return the response of the route that the request names.

        Raises:
            Refused: the path or the method is unknown, the token lacks the scope, the instance is being removed, or the route refuses.
        """
        route, parameters = self._found(request)
        scopes = self._scopes(request)
        if route.scope not in scopes:
            has = ", ".join(sorted(scopes))
            raise Refused(403, f"{route.method} {route.path} needs a token with the scope {route.scope}; this one has {has}")
        if self._keeper.tearing_down and not route.to_the_last:
            raise Refused(503, TORN_DOWN)
        query = {name: values[-1] for name, values in request.query.items()}
        return route.answer(self._keeper, Call(parameters, query, _object(request.body), scopes))

    def refusal(self, status: int, words: str) -> Response:
        """Return the response to a request that is refused."""
        return reply({"error": words}, status)

    def _scopes(self, request: Request) -> frozenset[str]:
        return self._tokens.scopes_of(_only(request, "Authorization"))

    def _found(self, request: Request) -> tuple[Route, dict[str, str]]:
        parts = [unquote(part) for part in request.path.split("/")[1:]]
        found = [(route, parameters) for route in self._routes if (parameters := route.parameters(parts)) is not None]
        for route, parameters in found:
            if route.method == request.method:
                return route, parameters
        if not found:
            raise Refused(404, "no such path")
        raise Refused(405, f"it takes {' or '.join(route.method for route, _ in found)}")


def _only(request: Request, name: str) -> str:
    """Return the value of a header, or "". The access check depends on the header, so a request with two of them is refused (400)."""
    values = request.header(name)
    if len(values) > 1:
        raise Refused(400, f"the header {name} occurs {len(values)} times")
    return values[0] if values else ""


def _no_number(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are not JSON, and no route can use them as a number of seconds


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not valid JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is not a JSON object")
    return found
