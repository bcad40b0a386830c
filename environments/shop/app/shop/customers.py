"""Registration and authentication of customers."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from shop.documents import Credentials, Customer, Registration
from shop.errors import EmailTaken, NotAuthenticated
from shop.passwords import hash_password, password_matches

# No password has this hash. Unknown addresses are checked against it, so that the response time does not reveal them.
NOBODY = f"16384$8$1${'00' * 16}${'00' * 64}"


async def register(pool: asyncpg.Pool, registration: Registration) -> Customer:
    password_hash = await hash_password(registration.password)
    insert = "INSERT INTO customers (email, name, password_hash) VALUES ($1, $2, $3) RETURNING id, email, name"
    try:
        row = await pool.fetchrow(insert, registration.email, registration.name, password_hash)
    except asyncpg.UniqueViolationError as error:
        raise EmailTaken("there is a customer with this address already") from error
    return Customer(**row)


async def authenticate(pool: asyncpg.Pool, credentials: Credentials) -> UUID:
    select = "SELECT id, password_hash FROM customers WHERE lower(email) = lower($1)"
    row = await pool.fetchrow(select, credentials.email)
    matches = await password_matches(credentials.password, row["password_hash"] if row else NOBODY)
    if row is None or not matches:
        raise NotAuthenticated("wrong address or password")
    return UUID(str(row["id"]))


async def find(pool: asyncpg.Pool, customer_id: UUID) -> Customer:
    row = await pool.fetchrow("SELECT id, email, name FROM customers WHERE id = $1", customer_id)
    if row is None:
        raise NotAuthenticated("there is no such customer any more")
    return Customer(**row)
