"""The client of the payment provider, a third-party HTTP API."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import httpx

from shop.errors import PaymentDeclined, ProviderFailed


@dataclass(frozen=True)
class Payments:
    client: httpx.AsyncClient

    @classmethod
    def at(cls, url: str, key: str) -> Payments:
        headers = {"Authorization": f"Bearer {key}"}
        # trust_env: a developer's HTTP_PROXY must not affect requests to the provider.
        return cls(httpx.AsyncClient(base_url=url, headers=headers, timeout=5, trust_env=False))

    async def charge(self, order_id: UUID, email: str, card: str, amount_cents: int) -> str:
        """Charge the card, and return the provider's id of the payment."""
        body = {"reference": str(order_id), "receipt_email": email, "card": card, "amount_cents": amount_cents}
        try:
            # Not retried: a request without a response may already have charged the card.
            response = await self.client.post("/payments", json=body, headers={"Idempotency-Key": str(order_id)})
            return _payment_id(response)
        except httpx.HTTPError as error:
            raise ProviderFailed("the payment provider cannot be reached") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ProviderFailed("the payment provider's answer cannot be read") from error


def _payment_id(response: httpx.Response) -> str:
    if response.status_code == 402:
        raise PaymentDeclined(f"the payment was declined: {response.json()['reason']}")
    if not response.is_success:
        raise ProviderFailed(f"the payment provider failed with status {response.status_code}")
    return str(response.json()["id"])
