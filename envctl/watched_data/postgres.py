"""PostgreSQL: the rows of a database's tables by their keys. A row without a primary key is identified by its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from envctl.readiness.postgres import lenient_saslprep
from envctl.units import UnitError
from envctl.watched_data import ITSELF, MOST, WHOLE

TABLES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname || '.' || c.relname,
       (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_index i JOIN pg_attribute a
        ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary),
       (SELECT md5(string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), ', ' ORDER BY a.attnum))
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_temp%'
ORDER BY 1
"""


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the tables and their rows. Raise UnitError if the server does not answer."""
    from pg8000 import native

    lenient_saslprep()
    connect: Any = native.Connection
    try:
        connection = connect(
            str(properties["username"]), password=str(properties["password"]), host=str(properties["host"]), port=int(properties["port"]),
            database=unit, timeout=60,
        )  # fmt: skip
        try:
            # One snapshot of all tables, because services under test may write at the same time.
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return dict(_tables(connection))
        finally:
            connection.close()
    except (native.DatabaseError, native.InterfaceError, OSError) as error:
        raise UnitError(f"PostgreSQL, database {unit}: {error}") from None


def _tables(connection: Any) -> Iterator[tuple[str, dict[str, str]]]:
    tables = connection.run(TABLES)
    yield ITSELF, {shown.removeprefix("public."): str(columns) for _, shown, _, columns in tables}
    for table, shown, key, _ in tables:
        name = shown.removeprefix("public.")
        total, digest = connection.run(f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {table} t")[0]
        if total > MOST:
            yield name, {WHOLE: f"{total} {digest}"}
            continue
        item = f"ROW({key})::text" if key else "t::text || ' #' || row_number() OVER (PARTITION BY t::text)"
        rows = connection.run(f"SELECT {item}, hashtextextended(t::text, 0) FROM {table} t")
        yield name, {str(one).strip("()"): str(hashed) for one, hashed in rows}
