"""Fixtures for the shop's tests, with addresses from environment variables.

Each test has its own customer, so that tests can run in any order and in parallel.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator

import httpx
import pytest


@pytest.fixture(scope="session")
def api() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=os.environ["API_URL"], timeout=30) as client:
        yield client


@pytest.fixture
def customer(api: httpx.Client) -> dict[str, str]:
    known = {"email": f"ada.{secrets.token_hex(8)}@example.com", "name": "Ada", "password": "correct horse battery"}
    assert api.post("/customers", json=known).status_code == 201
    return known


@pytest.fixture
def order(api: httpx.Client, customer: dict[str, str]) -> Callable[[str, str], httpx.Response]:
    def place(sku: str, card: str) -> httpx.Response:
        return api.post("/orders", json={"card": card, "lines": [{"sku": sku, "quantity": 1}]}, headers=bearer(api, customer))

    return place


@pytest.fixture
def orders(api: httpx.Client, customer: dict[str, str]) -> Callable[[], list[dict[str, object]]]:
    return lambda: api.get("/orders", headers=bearer(api, customer)).json()


def bearer(api: httpx.Client, customer: dict[str, str]) -> dict[str, str]:
    token = api.post("/tokens", json=customer).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def inbox() -> Callable[[str], list[dict[str, object]]]:
    """Return a function that waits for the mails to an address; the shop sends them after it has answered the order."""
    login = (os.environ["MAIL_USERNAME"], os.environ["MAIL_PASSWORD"])

    def wait(address: str) -> list[dict[str, object]]:
        deadline = time.monotonic() + 20
        while True:
            found = httpx.get(f"{os.environ['MAIL_API_URL']}/search", params={"query": f'to:"{address}"'}, auth=login)
            if mails := found.raise_for_status().json()["messages"]:
                return mails
            assert time.monotonic() < deadline, f"no mail has come to {address}"
            time.sleep(0.1)

    return wait
