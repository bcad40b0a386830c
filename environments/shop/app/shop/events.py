"""The events that the services tell each other; the subjects and payloads are a contract between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the worker knows events, and does without the API's libraries
    from shop.documents import Customer, Order

ORDER_CREATED = "order.created"

Event = dict[str, Any]


def order_created(order: Order, customer: Customer) -> Event:
    return {"order": order.model_dump(mode="json"), "customer": customer.model_dump(mode="json")}
