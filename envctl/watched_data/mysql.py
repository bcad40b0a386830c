"""MariaDB and MySQL: the rows of a database's tables by their keys. A row without a primary key is identified by its content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pymysql

from envctl.units import UnitError
from envctl.watched_data import ITSELF, MOST, WHOLE, fingerprint

KEYS = "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = %s AND table_name = %s"

COLUMNS = """SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns
WHERE table_schema = %s ORDER BY table_name, ordinal_position"""


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the tables and their rows. Raise UnitError if the server does not answer."""
    try:
        connection = pymysql.connect(
            host=str(properties["host"]), port=int(properties["port"]), user=str(properties["username"]), database=unit, charset="utf8mb4",
            password=str(properties["password"]), connect_timeout=10, read_timeout=60,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            return dict(_tables(cursor, unit))
    except pymysql.MySQLError as error:
        raise UnitError(f"MariaDB, database {unit}: {error}") from None


def _tables(cursor: Any, unit: str) -> Iterator[tuple[str, dict[str, str]]]:
    names = [row[0] for row in _all(cursor, "SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")]
    columns_of: dict[str, list[Any]] = {name: [] for name in names}
    for name, *column in _all(cursor, COLUMNS, unit):
        columns_of.get(name, []).append(column)
    yield ITSELF, {name: fingerprint(found) for name, found in columns_of.items()}
    for name in names:
        quoted = "`" + name.replace("`", "``") + "`"
        total = _all(cursor, f"SELECT count(*) FROM {quoted}")[0][0]
        if total > MOST:
            yield name, {WHOLE: f"{total} {_all(cursor, f'CHECKSUM TABLE {quoted}')[0][1]}"}
            continue
        key = [row[0] for row in _all(cursor, f"{KEYS} AND constraint_name = 'PRIMARY' ORDER BY ordinal_position", unit, name)]
        rows = _all(cursor, f"SELECT * FROM {quoted}")
        columns = [column[0] for column in cursor.description]
        yield name, _by_key(rows, [columns.index(each) for each in key])


def _by_key(rows: list[tuple[Any, ...]], key: list[int]) -> dict[str, str]:
    seen: Counter[str] = Counter()
    found = {}
    for row in rows:
        item = ",".join(str(row[index]) for index in key) if key else fingerprint(row)
        seen[item] += 1
        found[item if seen[item] == 1 else f"{item} #{seen[item]}"] = fingerprint(row)
    return found


def _all(cursor: Any, sql: str, *values: Any) -> list[Any]:
    cursor.execute(sql, values)
    return list(cursor.fetchall())
