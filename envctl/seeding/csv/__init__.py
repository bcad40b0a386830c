"""Load CSV files (also .gz) with the server's bulk loader. The first line is a header.

An unquoted empty field is NULL; a quoted empty field is the empty string.

The file is read twice: a bulk load is one statement, so nothing may be sent before every record has been checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from envctl.engines import Execution
from envctl.plan.model import Step
from envctl.seeding import BadFile, Seeder, complaint, failed, texts
from envctl.seeding.csv.dialects import DIALECTS, Dialect
from envctl.seeding.csv.records import chunks, lines_in, rows

ROW = re.compile(r"at row (\d+)")
COPY_LINE = re.compile(r"COPY .*, line (\d+)")


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    path, root, dialect = step.files[0], seeder.plan.setting.project, DIALECTS[step.feed.dialect]
    try:
        check(path, root, dialect)
        ran = seeder.deployment.execute(step.service, Execution(step.feed.command, step.feed.env, sent(path, root, dialect)))
        where = _where(path, root, ran.output) if ran.status else ""
    except BadFile as error:
        raise failed(step, error.where(path), str(error)) from None
    if ran.status:
        raise failed(step, where, ran.output, ran.status, complaint(ran.output))


def check(path: Path, root: Path, dialect: Dialect) -> None:
    """Check the complete file before any of it is sent.

    Raises:
        BadFile: With the line of the first mistake.
    """
    for chunk in chunks(texts(path, root)):
        for byte, why in dialect.refused.items():
            if (at := chunk.data.find(byte)) >= 0:
                raise BadFile(why, chunk.line + lines_in(chunk.data[:at]))


def sent(path: Path, root: Path, dialect: Dialect) -> Iterator[bytes]:
    """Yield the file as the server's bulk loader reads it.

    After an error, send the dialect's `spoil`, so that the server refuses the input. The file may have changed since its check, and if the
    input only ended early, the server would commit half of the file.
    """
    try:
        for chunk in chunks(texts(path, root)):
            yield dialect.write(chunk.data)
    except BadFile:
        yield dialect.spoil
        raise


def _where(path: Path, root: Path, output: str) -> str:
    found = COPY_LINE.search(output) or ROW.search(output)
    if not found:
        return str(path)
    wanted, counted = int(found[1]), 0
    for number, (line, record) in enumerate(rows(texts(path, root))):
        counted += 1 + (_counted_by_copy(record, number) if found.re is COPY_LINE else 0)
        if counted >= wanted:
            return f"{path}:{line}"
    return str(path)


def _counted_by_copy(record: bytes, number: int) -> int:
    """Return the number of line ends in a record that COPY counts in addition to the record's own.

    MariaDB counts records. PostgreSQL counts lines, including those within quotes; until it has seen the first line end, it counts CR, not
    LF.
    """
    return record.rstrip(b"\r\n").count(b"\n" if number else b"\r")
