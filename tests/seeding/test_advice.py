"""Tests of the hints for error messages of servers."""

from __future__ import annotations

import pytest

from envctl.seeding.advice import ADVICE, advice_for


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("ERROR 1227 (42000) at line 7: Access denied; you need (at least one of) the SET USER privilege(s)", "owners: false"),
        ("psql:<stdin>:1: error: \\ir: No such file or directory", "sql: FOLDER"),
        ("psql:<stdin>:1: error: parts/one.sql: No such file or directory", "sql: FOLDER"),
        ("ERROR 2 (HY000) at line 2: File 'parts/one.sql' not found (Errcode: 2)", "sql: FOLDER"),
        ('ERROR:  column "id;name" of relation "t" does not exist', "commas"),
        ("ERROR 1054 (42S22): Unknown column 'id;name' in 'field list'", "commas"),
        ('ERROR:  column "id " of relation "t" does not exist', "space"),
        ('ERROR:  role "deploy" does not exist', "--no-owner"),
        ("ERROR 1227 (42000) at line 3: Access denied; you need (at least one of) the BINLOG ADMIN privilege(s)", "--set-gtid-purged=OFF"),
        ("ERROR 1227 (42000) at line 1: Access denied; you need (at least one of) the CREATE USER privilege(s)", "username: root"),
        ("ERROR 1044 (42000) at line 1: Access denied for user 'e2'@'%' to database 'elsewhere'", "databases: [...]"),
        ('psql:<stdin>:1: error: \\connect: connection failed: FATAL:  database "prod" does not exist', "databases: [...]"),
        ("psql:<stdin>:2: error: backslash commands are restricted; only \\unrestrict is allowed", "pg_dump"),
        ('OCI runtime exec failed: exec: "mariadb": executable file not found in $PATH: unknown', "runs `mysql`"),
        ("for the right syntax to use near 'source other.sql' at line 1", "sql: FOLDER"),
        ("ERROR 2 (HY000) at line 2: File '/tmp/x.csv' not found (Errcode: 2)", "csv: FILE"),
        ("psql:<stdin>:1: error: nowhere.csv: No such file or directory", "csv: FILE"),
        ("Use the pg_restore command-line client to restore this dump to a database.", "restore: FILE"),
        ('ERROR:  extension "uuid-ossp" is not available', "image:"),
        ('ERROR:  unrecognized configuration parameter "transaction_timeout"', "version:"),
        ("ERROR 1273 (HY000) at line 1: Unknown collation: 'utf8mb4_0900_x'", "version:"),
        ('ERROR:  syntax error at or near "`"', "kind: mariadb"),
        ("ERROR 1193 (HY000) at line 1: Unknown system variable 'statement_timeout'", "kind: postgres"),
        ('ERROR:  malformed array literal: "[1, 2]"', "{1,2,NULL}"),
        ('ERROR:  invalid byte sequence for encoding "UTF8": 0xe9 0x27 0x29', "UTF-8"),
        ("ERROR 1366 (22007) at line 2: Incorrect string value: '\\xE9' for column `shop`.`l1`.`n` at row 1", "UTF-8"),
    ],
)
def test_known_mistakes(output: str, word: str) -> None:
    assert word in advice_for(output)


@pytest.mark.parametrize("output", ["", 'ERROR:  column "id" of relation "t" does not exist'])
def test_others_are_to_be_looked_at(output: str) -> None:
    assert advice_for(output) == ADVICE
