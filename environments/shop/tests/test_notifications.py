"""Tests from an order to its mail: the broker, the worker, and a restart of the broker."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from broker import listening
from customer import Customer

Product = Callable[..., str]
Inbox = Callable[[str, str], list[dict[str, Any]]]


@pytest.mark.anyio
async def test_an_order_is_announced(customer: Customer, product: Product) -> None:
    async with listening("order.created") as events:
        order = customer.order((product(stock=3), 2)).json()

        event = await events.of(customer.email)

    assert event["order"] == order
    assert event["customer"]["name"] == customer.name


def test_an_order_is_confirmed_by_mail(customer: Customer, product: Product, inbox: Inbox) -> None:
    order = customer.order((product(stock=3, price_cents=1250), 2)).json()

    [mail] = inbox(customer.email, order["id"])
    assert customer.name in mail["Text"]
    assert "25.00 €" in mail["Text"]


@pytest.mark.skipif("PYTEST_XDIST_WORKER" in os.environ, reason="it would cut the other workers off from the broker")
@pytest.mark.anyio
async def test_no_order_is_lost_while_the_broker_restarts(customer: Customer, product: Product, inbox: Inbox) -> None:
    sku = product(stock=1000)

    orders = [customer.order((sku, 1)), *_orders_during_restart(customer, sku)]
    async with listening("order.created") as events:
        orders.append(customer.order((sku, 1)))
        last = orders[-1].json()["id"]
        while (await events.of(customer.email, seconds=30))["order"]["id"] != last:
            pass  # orders from the time of the restart

    assert {order.status_code for order in orders} == {201}
    for order in orders:
        # Possibly more than one mail: an event whose acknowledgement was lost is delivered again.
        assert inbox(customer.email, order.json()["id"])


def _orders_during_restart(customer: Customer, sku: str) -> list[httpx.Response]:
    instance = os.environ.get("ENVCTL_INSTANCE")
    if not instance:
        pytest.skip("ENVCTL_INSTANCE is not set: there is no instance whose broker could be restarted (use `envctl test`)")
    orders = []
    with subprocess.Popen(["envctl", "restart", instance, "events"]) as restart:
        while restart.poll() is None:
            orders.append(customer.order((sku, 1)))
            with suppress(subprocess.TimeoutExpired):
                restart.wait(0.2)
    assert restart.returncode == 0
    return orders
