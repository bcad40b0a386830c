"""Tests of registration and authentication."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pg8000.native
import pytest
from customer import Customer
from polling import eventually

Product = Callable[..., str]


def test_a_customer_registers_and_logs_in(stranger: Customer, api: httpx.Client) -> None:
    registered = stranger.register()

    assert registered.status_code == 201
    me = api.get("/customers/me", headers=stranger.headers)
    assert me.json() == registered.json()
    assert me.json()["name"] == stranger.name


def test_the_password_is_neither_answered_nor_stored(stranger: Customer, database: pg8000.native.Connection) -> None:
    answer = stranger.register()

    select = "SELECT c::text FROM customers c WHERE email = :email"
    [[row]] = database.run(select, email=stranger.email)
    assert stranger.password not in answer.text
    assert stranger.password not in row


def test_an_address_registers_once(customer: Customer, api: httpx.Client) -> None:
    again = Customer(api, email=customer.email.upper()).register()

    assert again.status_code == 409
    assert customer.log_in().status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"email": "not an address"},
        {"email": "two@example.com\r\nBcc: all@example.com"},
        {"password": "short"},
        {"name": ""},
        {"name": "Ada\nBcc: all@example.com"},
        {"name": None},
    ],
    ids=["address", "address with header", "short password", "no name", "name with header", "null"],
)
def test_bad_input_is_refused(stranger: Customer, api: httpx.Client, change: dict[str, Any]) -> None:
    body = {"email": stranger.email, "name": stranger.name, "password": stranger.password} | change

    assert api.post("/customers", json=body).status_code == 422


def test_a_wrong_password_is_refused(customer: Customer) -> None:
    assert customer.log_in(password="a wrong password").status_code == 401


def test_an_unknown_address_is_refused_in_the_same_words(customer: Customer) -> None:
    wrong_password = customer.log_in(password="a wrong password")
    unknown = customer.log_in(email="nobody@example.com")

    assert (unknown.status_code, unknown.json()) == (401, wrong_password.json())


def _token(algorithm: str, signature: bytes) -> str:
    header = {"alg": algorithm, "typ": "JWT"}
    claims = {"sub": "7b0c3456-0000-4000-8000-000000000000", "exp": 4102444800}
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return "Bearer " + ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer garbled", "Basic YWRhOnNlY3JldA==", _token("HS256", bytes(32)), _token("none", b"")],
    ids=["none", "empty", "garbled", "another scheme", "forged", "unsigned"],
)
def test_without_a_valid_token_nothing_is_shown(api: httpx.Client, authorization: str) -> None:
    answer = api.get("/orders", headers={"Authorization": authorization} if authorization else {})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_expires(customer: Customer, api: httpx.Client) -> None:
    token = customer.log_in(lifetime=1).json()["access_token"]

    def refused() -> bool:
        return api.get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code == 401

    eventually(refused, "refusal of an expired token")


def test_customers_do_not_see_each_others_orders(customer: Customer, api: httpx.Client, product: Product) -> None:
    order = customer.order((product(stock=1), 1)).json()
    other = Customer(api)
    other.register()

    assert other.orders() == []
    assert api.get(f"/orders/{order['id']}", headers=other.headers).status_code == 404
    assert api.get(f"/orders/{order['id']}", headers=customer.headers).json() == order
