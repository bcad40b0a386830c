"""Who may ask for what: each token has scopes, each route needs one of them."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping

CONTROL = "control"
"""Everything that our own commands do."""
TESTS = "tests"
"""What a test may do: nothing that starts a program, or that ends or changes what others use."""
SCOPES = (CONTROL, TESTS)


class Tokens:
    """
    Args:
        scopes: token to its scopes.

    Raises:
        ValueError: there is no such scope.
    """

    def __init__(self, scopes: Mapping[str, Collection[str]]) -> None:
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
