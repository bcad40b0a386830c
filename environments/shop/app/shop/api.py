"""The orders API: `uvicorn shop.api:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from nats.aio.client import Client

from shop import broker, catalogue, customers, orders
from shop.documents import (
    Category,
    Credentials,
    Customer,
    Health,
    Order,
    OrderRequest,
    Problem,
    Product,
    Registration,
    Sku,
    Token,
)
from shop.errors import NotAuthenticated, NotReady, ShopError
from shop.outbox import Publisher
from shop.payments import Payments
from shop.settings import setting
from shop.tokens import Tokens


@dataclass(frozen=True)
class Resources:
    """The objects that all requests share. No connection exists at first; /healthz reports when the API is ready."""

    pool: asyncpg.Pool
    broker: Client
    publisher: Publisher
    payments: Payments
    tokens: Tokens


async def _resources() -> Resources:
    # min_size=0: the API can start before its database, and becomes ready with it.
    pool = await asyncpg.create_pool(setting("DATABASE_URL"), min_size=0, max_size=5, command_timeout=10)
    client = Client()
    payments = Payments.at(setting("PAYMENTS_URL"), setting("PAYMENTS_KEY"))
    return Resources(pool, client, Publisher(pool, client), payments, Tokens(setting("TOKEN_SECRET")))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.resources = shared = await _resources()
    connecting = broker.connect(shared.broker, setting("NATS_URL"), "orders", shared.publisher.wake)
    tasks = [asyncio.create_task(connecting), asyncio.create_task(shared.publisher.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await shared.broker.close()
        await shared.payments.client.aclose()
        # Not close(), which waits for connections: uvicorn has finished the requests, and an open transaction is rolled back.
        shared.pool.terminate()


app = FastAPI(title="Shop orders", version="1.0.0", lifespan=_lifespan)
_bearer = HTTPBearer(auto_error=False)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem} for status in statuses}


def _shared(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


Shared = Annotated[Resources, Depends(_shared)]


async def _customer(
    shared: Shared, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Customer:
    if given is None:
        raise NotAuthenticated("a bearer token is required")
    return await customers.find(shared.pool, shared.tokens.customer_id(given.credentials))


CurrentCustomer = Annotated[Customer, Depends(_customer)]


@app.exception_handler(ShopError)
async def _shop_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ShopError)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse({"detail": str(error)}, error.status, headers)


@app.get("/healthz", responses=_problems(503))
async def healthz(shared: Shared) -> Health:
    try:
        await shared.pool.fetchval("SELECT 1", timeout=2)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise NotReady(f"the database does not answer: {type(error).__name__}") from error
    if not shared.broker.is_connected:
        raise NotReady("the broker is not connected")
    return Health(status="ok")


@app.post("/customers", status_code=201, responses=_problems(409))
async def register(registration: Registration, shared: Shared) -> Customer:
    return await customers.register(shared.pool, registration)


@app.post("/tokens", status_code=201, responses=_problems(401))
async def log_in(credentials: Credentials, shared: Shared) -> Token:
    customer_id = await customers.authenticate(shared.pool, credentials)
    token = shared.tokens.issue(customer_id, credentials.lifetime)
    return Token(access_token=token, expires_in=credentials.lifetime)


@app.get("/customers/me", responses=_problems(401))
async def me(customer: CurrentCustomer) -> Customer:
    return customer


@app.get("/products")
async def list_products(
    shared: Shared, category: Category | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[Product]:
    return await catalogue.products(shared.pool, category, limit)


@app.get("/products/{sku}", responses=_problems(404))
async def show_product(sku: Sku, shared: Shared) -> Product:
    return await catalogue.product(shared.pool, sku)


@app.post("/orders", status_code=201, responses=_problems(401, 402, 404, 409, 502))
async def place_order(order: OrderRequest, customer: CurrentCustomer, shared: Shared) -> Order:
    placed = await orders.place(shared.pool, shared.payments, customer, order)
    shared.publisher.wake()
    return placed


@app.get("/orders", responses=_problems(401))
async def list_orders(customer: CurrentCustomer, shared: Shared) -> list[Order]:
    return await orders.of_customer(shared.pool, customer)


@app.get("/orders/{order_id}", responses=_problems(401, 404))
async def show_order(order_id: UUID, customer: CurrentCustomer, shared: Shared) -> Order:
    return await orders.find(shared.pool, customer, order_id)
