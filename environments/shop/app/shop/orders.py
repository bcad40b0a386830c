"""Orders: an order is stored, paid and announced as a whole, or not at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg

from shop import events, outbox
from shop.documents import Customer, Line, Order, OrderLine, OrderRequest
from shop.errors import OutOfStock, UnknownOrder, UnknownProduct
from shop.payments import Payments


async def place(pool: asyncpg.Pool, payments: Payments, customer: Customer, request: OrderRequest) -> Order:
    async with pool.acquire() as connection, connection.transaction():
        order = _order(await _take_from_stock(connection, request.lines))
        await _store(connection, customer, order)
        await outbox.add(connection, events.ORDER_CREATED, events.order_created(order, customer))
        # Last: a refused payment rolls back everything above, and after a payment only the commit can fail. The price
        # is that orders for the same product wait for each other's payments; a busier shop would reserve stock first.
        payment_id = await payments.charge(order.id, customer.email, request.card, order.total_cents)
        await connection.execute("UPDATE orders SET payment_id = $2 WHERE id = $1", order.id, payment_id)
    return order


async def of_customer(pool: asyncpg.Pool, customer: Customer) -> list[Order]:
    select = "SELECT id, total_cents, created_at FROM orders WHERE customer_id = $1 ORDER BY created_at, id"
    return await _with_lines(pool, await pool.fetch(select, customer.id))


async def find(pool: asyncpg.Pool, customer: Customer, order_id: UUID) -> Order:
    select = "SELECT id, total_cents, created_at FROM orders WHERE id = $1 AND customer_id = $2"
    found = await _with_lines(pool, await pool.fetch(select, order_id, customer.id))
    if not found:
        raise UnknownOrder(f"there is no order {order_id}")
    return found[0]


async def _with_lines(pool: asyncpg.Pool, orders: list[asyncpg.Record]) -> list[Order]:
    select = "SELECT * FROM order_lines WHERE order_id = ANY($1) ORDER BY sku"
    lines = defaultdict(list)
    for row in await pool.fetch(select, [order["id"] for order in orders]):
        lines[row["order_id"]].append(OrderLine(**row))
    return [Order(**order, lines=lines[order["id"]]) for order in orders]


async def _take_from_stock(connection: asyncpg.Connection, wanted: list[Line]) -> list[OrderLine]:
    quantities: Counter[str] = Counter()
    for line in wanted:
        quantities[line.sku] += line.quantity
    # Rows are always locked in the same order, so that two orders for the same products cannot deadlock.
    select = "SELECT sku, price_cents, stock FROM products WHERE sku = ANY($1) ORDER BY sku FOR UPDATE"
    rows = await connection.fetch(select, list(quantities))
    _require_stock(quantities, {row["sku"]: row["stock"] for row in rows})
    update = "UPDATE products SET stock = stock - $2 WHERE sku = $1"
    await connection.executemany(update, list(quantities.items()))
    return [OrderLine(sku=r["sku"], quantity=quantities[r["sku"]], price_cents=r["price_cents"]) for r in rows]


def _require_stock(quantities: Counter[str], stock: dict[str, int]) -> None:
    for sku, quantity in quantities.items():
        if sku not in stock:
            raise UnknownProduct(f"there is no product {sku}")
        if stock[sku] < quantity:
            raise OutOfStock(f"{sku}: {quantity} ordered, {stock[sku]} in stock")


def _order(lines: list[OrderLine]) -> Order:
    total = sum(line.quantity * line.price_cents for line in lines)
    return Order(id=uuid4(), total_cents=total, created_at=datetime.now(UTC), lines=lines)


async def _store(connection: asyncpg.Connection, customer: Customer, order: Order) -> None:
    insert = "INSERT INTO orders (id, customer_id, total_cents, created_at) VALUES ($1, $2, $3, $4)"
    await connection.execute(insert, order.id, customer.id, order.total_cents, order.created_at)
    insert_line = "INSERT INTO order_lines (order_id, sku, quantity, price_cents) VALUES ($1, $2, $3, $4)"
    await connection.executemany(insert_line, [(order.id, li.sku, li.quantity, li.price_cents) for li in order.lines])
