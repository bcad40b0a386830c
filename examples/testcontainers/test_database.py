"""Tests that were written for a PostgreSQL container, and now use the database of the instance."""

from test_beside import order

COUNT = "SELECT count(*) FROM orders JOIN customers ON customers.id = customer_id WHERE email = :email"


def test_the_products_are_seeded(database):
    ((count,),) = database.run("SELECT count(*) FROM products WHERE category = 'gift-cards'")
    assert count == 2


def test_an_order_is_stored(api, customer, database):
    assert order(api, customer, "GFT-25", "tok_visa").status_code == 201
    assert database.run(COUNT, email=customer["email"]) == [[1]]


def test_a_declined_payment_stores_nothing(api, customer, database):
    before = database.run("SELECT stock FROM products WHERE sku = 'TEA-01'")
    assert order(api, customer, "TEA-01", "tok_declined").status_code == 402
    assert database.run(COUNT, email=customer["email"]) == [[0]]
    assert database.run("SELECT stock FROM products WHERE sku = 'TEA-01'") == before
