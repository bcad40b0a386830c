"""A customer of the shop, for tests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True)
class Customer:
    """A customer with a new address for each test, so that tests affect neither each other nor existing data."""

    api: httpx.Client
    email: str = field(default_factory=lambda: f"ada.{secrets.token_hex(8)}@example.com")
    name: str = "Ada Łovelace"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    def register(self) -> httpx.Response:
        return self.api.post("/customers", json={"email": self.email, "name": self.name, "password": self.password})

    def log_in(self, **changes: Any) -> httpx.Response:
        return self.api.post("/tokens", json={"email": self.email, "password": self.password} | changes)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.log_in().json()['access_token']}"}

    def order(self, *lines: tuple[str, int], card: str = "tok_visa") -> httpx.Response:
        body = {"card": card, "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]}
        return self.api.post("/orders", json=body, headers=self.headers)

    def orders(self) -> list[dict[str, Any]]:
        answer = self.api.get("/orders", headers=self.headers)
        assert answer.status_code == 200
        orders: list[dict[str, Any]] = answer.json()
        return orders
