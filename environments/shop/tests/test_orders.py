"""Tests of orders: what is stored, what the payment provider receives, and what remains after an error."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from broker import listening
from customer import Customer

Product = Callable[..., str]
Stock = Callable[[str], int]
Charges = Callable[[str], list[dict[str, Any]]]


def test_an_order_is_stored_with_its_lines(customer: Customer, product: Product, stock: Stock) -> None:
    mug, kettle = product(stock=10, price_cents=1450), product(stock=4, price_cents=7900)

    answer = customer.order((mug, 3), (kettle, 1))

    assert answer.status_code == 201
    assert customer.orders() == [answer.json()]
    assert answer.json()["total_cents"] == 3 * 1450 + 7900
    assert {(line["sku"], line["quantity"]) for line in answer.json()["lines"]} == {(mug, 3), (kettle, 1)}
    assert (stock(mug), stock(kettle)) == (7, 3)


def test_the_payment_provider_is_asked_once(customer: Customer, product: Product, charges: Charges) -> None:
    order = customer.order((product(stock=5, price_cents=1999), 2)).json()

    [charge] = charges(customer.email)
    assert (charge["reference"], charge["amount_cents"], charge["card"]) == (order["id"], 3998, "tok_visa")


@pytest.mark.parametrize(
    ("card", "status", "reason"),
    [("tok_declined", 402, "insufficient_funds"), ("tok_broken", 502, "failed with status 500")],
    ids=["declined", "the provider fails"],
)
def test_a_failed_payment_leaves_nothing(
    customer: Customer, product: Product, stock: Stock, charges: Charges, card: str, status: int, reason: str
) -> None:
    sku = product(stock=5)

    answer = customer.order((sku, 2), card=card)

    assert answer.status_code == status
    assert reason in answer.json()["detail"]
    assert [charge["card"] for charge in charges(customer.email)] == [card]
    assert customer.orders() == []
    assert stock(sku) == 5


@pytest.mark.anyio
async def test_a_failed_payment_is_not_announced(customer: Customer, product: Product) -> None:
    sku = product(stock=5)
    async with listening("order.created") as events:
        customer.order((sku, 1), card="tok_declined")
        customer.order((sku, 1), card="tok_broken")
        order = customer.order((sku, 1)).json()

        # Events arrive in the order of their creation: an event of the first two orders would arrive before this one.
        assert (await events.of(customer.email))["order"]["id"] == order["id"]


def test_a_customer_may_try_again_with_another_card(customer: Customer, product: Product, stock: Stock) -> None:
    sku = product(stock=1)

    assert customer.order((sku, 1), card="tok_declined").status_code == 402
    assert customer.order((sku, 1)).status_code == 201
    assert stock(sku) == 0


def test_an_order_is_all_or_nothing(customer: Customer, product: Product, stock: Stock, charges: Charges) -> None:
    plenty, scarce = product(stock=50), product(stock=1)

    assert customer.order((plenty, 5), (scarce, 2)).status_code == 409
    assert (stock(plenty), stock(scarce)) == (50, 1)
    assert charges(customer.email) == []


def test_an_unknown_product_is_refused(customer: Customer, product: Product, stock: Stock) -> None:
    sku = product(stock=5)

    assert customer.order((sku, 1), ("NO-SUCH-THING", 1)).status_code == 404
    assert stock(sku) == 5


@pytest.mark.parametrize("quantity", [0, -1, 1_000_000])
def test_an_impossible_quantity_is_refused(customer: Customer, product: Product, quantity: int) -> None:
    assert customer.order((product(stock=5), quantity)).status_code == 422


def test_stock_is_never_oversold(customer: Customer, product: Product, stock: Stock) -> None:
    sku = product(stock=5)

    with ThreadPoolExecutor(12) as buyers:
        answers = list(buyers.map(lambda _: customer.order((sku, 1)).status_code, range(12)))

    assert sorted(answers) == [201] * 5 + [409] * 7
    assert stock(sku) == 0
    assert len(customer.orders()) == 5


def test_orders_for_the_same_products_do_not_deadlock(customer: Customer, product: Product, stock: Stock) -> None:
    one, other = product(stock=20), product(stock=20)
    baskets = [((one, 1), (other, 1)), ((other, 1), (one, 1))] * 5

    with ThreadPoolExecutor(10) as buyers:
        answers = list(buyers.map(lambda basket: customer.order(*basket).status_code, baskets))

    assert answers == [201] * 10
    assert (stock(one), stock(other)) == (10, 10)
