"""Access tokens: JSON Web Tokens signed with TOKEN_SECRET."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

import jwt

from shop.errors import NotAuthenticated

ALGORITHM = "HS256"


@dataclass(frozen=True)
class Tokens:
    secret: str = field(repr=False)

    def issue(self, customer_id: UUID, lifetime: int) -> str:
        claims = {"sub": str(customer_id), "exp": int(time.time()) + lifetime}
        return jwt.encode(claims, self.secret, algorithm=ALGORITHM)

    def customer_id(self, token: str) -> UUID:
        try:
            claims = jwt.decode(token, self.secret, algorithms=[ALGORITHM], options={"require": ["sub", "exp"]})
            return UUID(claims["sub"])
        except (jwt.InvalidTokenError, ValueError) as error:
            raise NotAuthenticated("the token is not valid or has expired") from error
