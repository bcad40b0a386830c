"""Fixtures for the shop's tests; all addresses come from environment variables (`envctl test shop`, `envctl run shop -- pytest`)."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pg8000.native
import pytest
from contract import Contract
from customer import Customer
from polling import eventually

Mail = dict[str, Any]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Return the backend for tests marked `anyio`; the plugin is installed with httpx."""
    return "asyncio"


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract(httpx.get(f"{os.environ['ORDERS_URL']}/openapi.json", timeout=10).raise_for_status().json())


@pytest.fixture(scope="session")
def api(contract: Contract) -> Iterator[httpx.Client]:
    """Yield a client of the orders API that checks every response against the API's OpenAPI document."""
    hooks = {"response": [contract.check]}
    with httpx.Client(base_url=os.environ["ORDERS_URL"], event_hooks=hooks, timeout=30) as client:
        yield client


@pytest.fixture
def stranger(api: httpx.Client) -> Customer:
    return Customer(api)


@pytest.fixture
def customer(stranger: Customer) -> Customer:
    assert stranger.register().status_code == 201
    return stranger


@pytest.fixture(scope="session")
def database() -> Iterator[pg8000.native.Connection]:
    url = urlsplit(os.environ["DATABASE_URL"])
    connection = pg8000.native.Connection(
        unquote(url.username or ""),
        password=unquote(url.password or ""),
        host=url.hostname or "",
        port=url.port or 5432,
        database=unquote(url.path.removeprefix("/")),
    )
    yield connection
    connection.close()


@pytest.fixture
def product(database: pg8000.native.Connection) -> Callable[..., str]:
    """Return a function that creates a product that no other test orders."""

    def make(stock: int, price_cents: int = 1250) -> str:
        sku = f"TEST-{secrets.token_hex(6).upper()}"
        insert = "INSERT INTO products VALUES (:sku, 'Test product', NULL, 'tests', NULL, :price, :stock)"
        database.run(insert, sku=sku, price=price_cents, stock=stock)
        return sku

    return make


@pytest.fixture
def stock(api: httpx.Client) -> Callable[[str], int]:
    return lambda sku: int(api.get(f"/products/{sku}").json()["stock"])


@pytest.fixture
def inbox() -> Callable[[str, str], list[Mail]]:
    """Return a function that waits for mails to an address with a subject."""

    def wait(address: str, subject: str) -> list[Mail]:
        return eventually(lambda: _mails(address, subject), f"mail to {address} about {subject}", seconds=30)

    return wait


def _mails(address: str, subject: str) -> list[Mail]:
    api = f"{os.environ['MAIL_URL'].rstrip('/')}/api/v1"
    query = {"query": f'to:"{address}" subject:"{subject}"'}
    found = httpx.get(f"{api}/search", params=query, timeout=10).raise_for_status().json()["messages"]
    return [httpx.get(f"{api}/message/{mail['ID']}", timeout=10).raise_for_status().json() for mail in found]


@pytest.fixture
def charges() -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that lists the payments requested for a customer, from the journal of the stub."""

    def of(email: str) -> list[dict[str, Any]]:
        journal = httpx.get(f"{os.environ['PAYMENTS_URL'].rstrip('/')}/__admin/requests", timeout=10)
        bodies = [json.loads(entry["request"]["body"]) for entry in journal.raise_for_status().json()["requests"]]
        return [body for body in bodies if body["receipt_email"] == email]

    return of
