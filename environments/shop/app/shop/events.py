"""The events between the services; their subjects and payloads are a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the worker uses events and does not install the API's libraries
    from shop.documents import Customer, Order

ORDER_CREATED = "order.created"

Event = dict[str, Any]


def order_created(order: Order, customer: Customer) -> Event:
    return {"order": order.model_dump(mode="json"), "customer": customer.model_dump(mode="json")}
