"""The keeper's HTTP API: who is let in, and which route answers. The routes themselves are in `routes/`, a file for each subject."""

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
    """Who may ask for what: each token has scopes, each route needs one of them."""

    def __init__(self, scopes: Mapping[str, Collection[str]]) -> None:
        """
        Raises:
            ValueError: a token has a scope that is not known.
        """
        for unknown in {scope for each in scopes.values() for scope in each} - set(SCOPES):
            raise ValueError(f"a token has the scope {unknown}; there are {', '.join(SCOPES)}")
        self._scopes = {f"Bearer {token}".encode(): frozenset(each) for token, each in scopes.items()}

    def scopes_of(self, authorization: str) -> frozenset[str]:
        """What whoever sends this header may do: nothing, where its token is unknown."""
        given, found = authorization.encode(), frozenset[str]()
        for expected, scopes in self._scopes.items():  # all of them, so that the time it takes says nothing
            if hmac.compare_digest(given, expected):
                found = scopes
        return found

    def without(self, scope: str) -> Tokens:
        """The same, none of them with *scope*."""
        found = Tokens({})
        found._scopes = {token: scopes - {scope} for token, scopes in self._scopes.items()}
        return found


class Api:
    """Answers requests on a port of 127.0.0.1, which everybody on the machine may connect to, or on the private socket.

    Whoever has no token, or names another host (a page in a browser, by a name of its own for 127.0.0.1), is refused before the body
    of the request is read.
    """

    def __init__(self, keeper: Keeper, tokens: Tokens, port: int, routes: Sequence[Route]) -> None:
        self._keeper, self._tokens, self._routes = keeper, tokens, routes
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    def admit(self, request: Request) -> None:
        """
        Raises:
            Refused: another host, or an unknown token.
        """
        if _only(request, "Host").lower() not in self._hosts:
            raise Refused(403, "requests are for 127.0.0.1 only")
        if not self._scopes(request):
            raise Refused(401, "the token is missing, or wrong")

    def answer(self, request: Request) -> Response:
        """
        Raises:
            Refused: there is no such route, the token may not use it, or the route refuses.
        """
        route, parameters = self._found(request)
        scopes = self._scopes(request)
        if route.scope not in scopes:
            has = ", ".join(sorted(scopes))
            raise Refused(403, f"{route.method} {route.path} takes a token of the scope {route.scope}; this one has {has} here")
        if self._keeper.tearing_down and not route.to_the_last:
            raise Refused(503, TORN_DOWN)
        query = {name: values[-1] for name, values in request.query.items()}
        return route.answer(self._keeper, Call(parameters, query, _object(request.body), scopes))

    def refusal(self, status: int, words: str) -> Response:
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
    """The value of a header that decides something, which may therefore be there once at most."""
    values = request.header(name)
    if len(values) > 1:
        raise Refused(400, f"{len(values)} headers {name}")
    return values[0] if values else ""


def _no_number(word: str) -> None:
    raise ValueError(word)  # NaN is no time to wait, and no JSON


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not valid JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is not a JSON object")
    return found
