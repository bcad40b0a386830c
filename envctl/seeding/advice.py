"""Advice for the error messages of servers during seeding, for mistakes that are typical of whole dumps and spreadsheets."""

from __future__ import annotations

import re

ADVICE = "correct it and bring it up again; with --keep the instance stays up, so that you can look at the data"
_KNOWN = (
    (
        r"a transaction is open where",
        "what it wrote would be lost: `COMMIT;` before `\\connect`",
    ),
    (
        # MariaDB quotes our own statement, which follows the file, in its message.
        r"unterminated (?:quoted|dollar)|error in your SQL syntax[^\0]*(?:SIGNAL SQLSTATE|SET MESSAGE_TEXT)",
        "a quote in this statement, or in one before it, is not closed",
    ),
    (
        r"a transaction is left open",
        "what it wrote would be lost: end the file with `COMMIT;` (each file is a session of its own)",
    ),
    (
        r"SET USER privilege|SUPER privilege|specified as a definer",
        "the DEFINER is another account: `{restore: FILE, owners: false}` instead of `sql: FILE` loads it as root, without those clauses",
    ),
    (
        r"the BINLOG|GTID_PURGED|REPLICATION SLAVE ADMIN",
        "the dump is for replication: `mysqldump --set-gtid-purged=OFF` leaves them out, or `with: {username: root}` loads it as root",
    ),
    (
        r"you need \(at least one of\) the ",
        "the file needs more rights than the user of the first database: `with: {username: root}` loads it as root",
    ),
    (
        r"Access denied for user .* to database '|\\connect: .*database \"[^\"]*\" does not exist|Unknown database '",
        "the file changes to a database that is not declared: `with: {databases: [...]}` declares it, or dump without `--databases`",
    ),
    (
        r"\"?mariadb\"?: (?:executable file )?not found",
        "an image of MySQL has no client of MariaDB: use `mariadb:11.8`, or seed with a `command:` that runs `mysql`",
    ),
    (
        r"backslash commands are restricted; only \\unrestrict",
        "between \\restrict and \\unrestrict only what pg_dump writes is run: remove both",
    ),
    (
        r"psql:.*error: .*\.sql: No such file|File '[^']*\.sql' not found|\\i(?:r|nclude(?:_relative)?)?\b|near '(?:source|\\\.) ",
        "this file is sent alone: `\\i`, `\\ir` and `source` find nothing; name the folder (`sql: FOLDER`), or each file in a step",
    ),
    (
        r"column \"[^\"]*[;\t][^\"]*\"|Unknown column '[^']*[;\t]",
        "the header of this CSV has no commas: save it separated by commas",
    ),
    (
        r"column \"(?:\ufeff|\s|[^\"]*\s\")|Unknown column '(?:\ufeff|\s|[^']*\s')",
        "a name in the header begins or ends with a space: remove it",
    ),
    (
        r"role \"[^\"]*\" does not exist",
        "the dump names roles of another server: `pg_dump --no-owner --no-privileges` leaves them out, `with: {users: ...}` declares them",
    ),
    (
        r"ERROR 2 .*File '.*' not found|psql:.*error: .*: No such file or directory|could not open file \"",
        "the server has no files of the project: `csv: FILE` with `into: TABLE` loads one",
    ),
    (r"pg_restore command-line client to restore", "this is an archive of pg_dump: `restore: FILE` instead of `sql: FILE`"),
    (
        r"extension \"[^\"]*\" is not available|could not open extension control file",
        "this server comes without the extension: `image:` names one that has it, on an engine with images (`--engine docker`)",
    ),
    (
        r"unrecognized configuration parameter|Unknown collation",
        "the dump comes from another version or make of this server: choose one with `version:` or `image:`",
    ),
    (r"near \"`\"", "this is MySQL's or MariaDB's SQL: use `kind: mariadb`"),
    (r"Unknown system variable '(?:statement|lock|idle)_\w*timeout|near 'COPY ", "this is a dump of PostgreSQL: use `kind: postgres`"),
    (
        r"malformed array literal: \"\[",
        'a list is JSON here, and this column is an array: write a text as PostgreSQL has it, such as `"{1,2,NULL}"`',
    ),
    (
        r"invalid byte sequence for encoding|Incorrect string value|near '\?\?",
        "the file is not UTF-8: save it as UTF-8, or set its encoding in it (`SET NAMES latin1`)",
    ),
)


def advice_for(output: str) -> str:
    """Return advice for the error in *output*; for an unknown error, how to look at the data."""
    return next((advice for pattern, advice in _KNOWN if re.search(pattern, output)), ADVICE)
