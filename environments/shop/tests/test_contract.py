"""Tests that the API matches its OpenAPI document.

The `api` fixture checks every response of every test. These tests call each operation once, and prove that the
check finds a wrong response.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from contract import Contract
from customer import Customer


def test_every_operation_answers_as_documented(
    customer: Customer, api: httpx.Client, contract: Contract, product: Callable[..., str]
) -> None:
    sku = product(stock=1)
    order = customer.order((sku, 1))
    answers = [
        order,
        customer.log_in(),
        Customer(api).register(),
        api.get("/healthz"),
        api.get("/products"),
        api.get(f"/products/{sku}"),
        api.get("/customers/me", headers=customer.headers),
        api.get("/orders", headers=customer.headers),
        api.get(f"/orders/{order.json()['id']}", headers=customer.headers),
    ]

    assert all(answer.is_success for answer in answers)
    assert len(answers) == sum(len(operations) for operations in contract.document["paths"].values())


def test_refusals_are_documented(customer: Customer, api: httpx.Client) -> None:
    refusals = [customer.register(), api.get("/orders"), customer.order(("NO-SUCH-THING", 1)), customer.order()]

    assert [refusal.status_code for refusal in refusals] == [409, 401, 404, 422]


def _answer(status: int, body: object, path: str = "/healthz") -> httpx.Response:
    return httpx.Response(status, json=body, request=httpx.Request("GET", f"http://shop.example{path}"))


@pytest.mark.parametrize(
    "answer",
    [_answer(200, {}), _answer(200, {"status": 1}), _answer(418, {"detail": ""}), _answer(200, {}, "/nowhere")],
    ids=["property missing", "wrong type", "undocumented status", "undocumented path"],
)
def test_a_breach_is_noticed(contract: Contract, answer: httpx.Response) -> None:
    with pytest.raises(AssertionError):
        contract.check(answer)
