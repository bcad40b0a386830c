"""What a route is made of: a method, a path with parameters, the function that answers, and the scope that it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from envctl.keeper.tokens import CONTROL
from envctl.servers.http.message import Response

if TYPE_CHECKING:
    from envctl.keeper.keeper import Keeper


class Call:
    """A request that was admitted.

    Args:
        parameters: what the path has in the places of the route's {names}.
        query: the last value of each parameter behind the question mark.
        body: the JSON object that was sent; an empty one where nothing was.
        scopes: of its token.
    """

    def __init__(self, parameters: dict[str, str], query: dict[str, str], body: dict[str, Any], scopes: Collection[str]) -> None:
        self.parameters, self.query, self.body, self.scopes = parameters, query, body, scopes


class Route:
    """
    Args:
        path: such as `/v1/processes/{name}`; a parameter is one part of a path, and not empty.
        scope: what a token has to have.
        to_the_last: it is answered while the instance is being torn down, too.
    """

    def __init__(
        self,
        method: str,
        path: str,
        answer: Callable[[Keeper, Call], Response],
        scope: str = CONTROL,
        to_the_last: bool = False,
    ) -> None:
        self.method, self.path, self.answer, self.scope, self.to_the_last = method, path, answer, scope, to_the_last

    def parameters(self, parts: list[str]) -> dict[str, str] | None:
        """Those of a path, given in its parts; None where this route is about another path."""
        own = self.path.split("/")[1:]
        if len(own) != len(parts):
            return None
        found = {}
        for mine, given in zip(own, parts, strict=True):
            if mine.startswith("{") and given:
                found[mine.strip("{}")] = given
            elif mine != given:
                return None
        return found


def reply(body: object = None, status: int = 200, then: Callable[[], object] | None = None) -> Response:
    """An answer in JSON, an empty object where there is nothing to say; *then* is called after it."""
    content = json.dumps({} if body is None else body).encode()
    return Response(status, headers=(("Content-Type", "application/json"),), body=content, then=then)
