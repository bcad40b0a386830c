"""The products that the shop sells."""

from __future__ import annotations

import asyncpg

from shop.documents import Product
from shop.errors import UnknownProduct


async def products(pool: asyncpg.Pool, category: str | None, limit: int) -> list[Product]:
    select = "SELECT * FROM products WHERE $1::text IS NULL OR category = $1 ORDER BY sku LIMIT $2"
    return [Product(**row) for row in await pool.fetch(select, category, limit)]


async def product(pool: asyncpg.Pool, sku: str) -> Product:
    row = await pool.fetchrow("SELECT * FROM products WHERE sku = $1", sku)
    if row is None:
        raise UnknownProduct(f"there is no product {sku}")
    return Product(**row)
