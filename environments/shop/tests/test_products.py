"""Tests that the seed data arrives exactly as it is in seeds/products.csv."""

from __future__ import annotations

import csv
from pathlib import Path

import httpx
import pytest

SEED = Path(__file__).parent.parent / "seeds" / "products.csv"


def test_every_product_of_the_seed_is_there(api: httpx.Client) -> None:
    with SEED.open(encoding="utf-8", newline="") as file:
        seeded = list(csv.DictReader(file))

    for category in {row["category"] for row in seeded}:
        listed = api.get("/products", params={"category": category, "limit": 1000}).json()
        expected = {row["sku"]: row["name"] for row in seeded if row["category"] == category}
        assert {product["sku"]: product["name"] for product in listed} == expected


def test_products_of_a_category(api: httpx.Client) -> None:
    categories = {product["category"] for product in api.get("/products", params={"category": "audio"}).json()}

    assert categories == {"audio"}


@pytest.mark.parametrize(
    ("sku", "column", "value"),
    [
        ("GFT-25", "brand", None),
        ("GFT-25", "description", ""),
        ("PST-01", "name", 'Poster "Mind the gap", 50 x 70 cm'),
        ("PST-01", "description", "Printed to order.\nPlease allow five days."),
        ("TEA-01", "brand", "静岡 Tea Co."),
        ("MAP-02", "name", "Hiking map 1:25,000, Śnieżka"),
    ],
    ids=["null", "empty", "quotes and comma", "line break", "Japanese", "Polish"],
)
def test_values_keep_their_form(api: httpx.Client, sku: str, column: str, value: str | None) -> None:
    assert api.get(f"/products/{sku}").json()[column] == value


@pytest.mark.parametrize(("sku", "status"), [("NO-SUCH-THING", 404), ("no%00such", 422)])
def test_an_unknown_product_is_not_found(api: httpx.Client, sku: str, status: int) -> None:
    assert api.get(f"/products/{sku}").status_code == status
