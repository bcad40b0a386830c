"""Tests that use a container of their own together with the instance of the shop."""


def order(api, customer, sku, card):
    body = {"card": card, "lines": [{"sku": sku, "quantity": 1}]}
    return api.post("/orders", json=body, headers={"Authorization": customer["Authorization"]})


def test_the_container_answers(cache):
    assert cache.ping()


def test_the_catalogue_fits_into_the_cache(api, cache):
    products = api.get("/products", params={"limit": 1000}).json()
    cache.hset("stock", mapping={product["sku"]: product["stock"] for product in products})
    assert cache.hlen("stock") == len(products)


def test_a_wrong_password_is_refused(api, customer):
    assert api.post("/tokens", json=customer | {"password": "not the password"}).status_code == 401
