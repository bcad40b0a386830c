"""Tests of the shop's API, from registration to the mail."""

import secrets


def test_a_customer_registers(api):
    known = {"email": f"ada.{secrets.token_hex(8)}@example.com", "name": "Ada", "password": "correct horse battery"}
    answer = api.post("/customers", json=known)
    assert answer.status_code == 201
    assert answer.json()["email"] == known["email"]


def test_an_address_registers_once(api, customer):
    assert api.post("/customers", json=customer).status_code == 409


def test_a_wrong_password_is_refused(api, customer):
    answer = api.post("/tokens", json=customer | {"password": "not the password"})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "wrong address or password"


def test_products_are_listed(api):
    assert "GFT-25" in [product["sku"] for product in api.get("/products", params={"category": "gift-cards"}).json()]


def test_an_order_is_placed(order, orders):
    placed = order("GFT-25", "tok_visa")
    assert placed.status_code == 201
    assert orders() == [placed.json()]


def test_a_declined_payment_rolls_back(api, order, orders):
    before = api.get("/products/TEA-01").json()["stock"]
    assert order("TEA-01", "tok_declined").status_code == 402
    assert orders() == []
    assert api.get("/products/TEA-01").json()["stock"] == before


def test_the_confirmation_is_mailed(customer, order, inbox):
    placed = order("GFT-50", "tok_visa").json()
    (mail,) = inbox(customer["email"])
    assert placed["id"] in mail["Subject"]
