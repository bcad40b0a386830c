"""Update the database: `python -m shop.migrate` applies the files of `migrations/` that have not been applied yet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from shop.settings import setting

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
RECORD = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
# Any number that no other program locks: concurrent migrations wait for each other.
LOCK = 7_340_021


async def migrate(url: str, folder: Path = FOLDER) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            return await _apply(connection, folder)
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, folder: Path) -> list[str]:
    await connection.execute(RECORD)
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
    pending = [file for file in sorted(folder.glob("*.sql")) if file.name not in applied]
    for file in pending:
        await connection.execute(file.read_text(encoding="utf-8"))
        await connection.execute("INSERT INTO schema_migrations (name) VALUES ($1)", file.name)
    return [file.name for file in pending]


if __name__ == "__main__":
    names = asyncio.run(migrate(setting("DATABASE_URL")))
    print(f"applied: {', '.join(names)}" if names else "nothing to apply")
