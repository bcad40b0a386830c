"""CSV with a header line (also .gz) through the server's bulk loader; unquoted empty is NULL, quoted empty is text.

The file is read twice: bulk loading is one statement, so nothing may be sent before every record is known to be whole.
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
    """All of the file, before any of it is sent.

    Raises:
        BadFile: where its first mistake is.
    """
    for chunk in chunks(texts(path, root)):
        for byte, why in dialect.refused.items():
            if (at := chunk.data.find(byte)) >= 0:
                raise BadFile(why, chunk.line + lines_in(chunk.data[:at]))


def sent(path: Path, root: Path, dialect: Dialect) -> Iterator[bytes]:
    """What the server reads. Should the file have changed since its check, an input that merely ended would commit half of it."""
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
    """MariaDB counts records, PostgreSQL lines: also those within quotes, which it takes to end in CR until it has seen a line's end."""
    return record.rstrip(b"\r\n").count(b"\n" if number else b"\r")
