"""Restore dumps: pg_dump archives (custom, tar and directory format) with pg_restore, and mariadb-dump files with MariaDB's client."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from envctl.engines import Execution
from envctl.files.packed import plain_name
from envctl.files.reading import open_file
from envctl.plan.model import Step
from envctl.seeding import PIECE, BadFile, Seeder, failed, pieces
from envctl.seeding.definers import without_definers
from envctl.seeding.sql import complained
from envctl.seeding.transactions import with_question

TABLE_OF_CONTENTS = "toc.dat"
IN_FOLDER = (*("sh", "-c", 'folder=$(mktemp -d) && trap \'rm -rf "$folder"\' EXIT && tar -xf - -C "$folder" && "$@" "$folder"', "sh"),)
"""A command prefix that unpacks a tar archive from its input on the server's side and runs the command on the unpacked folder."""
ADVICE_FOR = (
    (
        re.compile(r'role "(?P<role>.*?)" does not exist'),
        "declare it (`with: {{users: [{role}]}}`), or leave out the owners and rights of the dump with `owners: false` beside `restore`",
    ),
    (re.compile(r"unsupported version .* in file header"), "a newer pg_dump made it: use a `version:` that is at least as new"),
    (re.compile(r"appears to be a text format dump"), "it is SQL: `sql: FILE` instead of `restore: FILE`"),
    (
        re.compile(r"does not appear to be a valid archive"),
        "`pg_dump --format=custom` or `--format=directory` makes a file that can be restored",
    ),
    (re.compile(r'extension "(?P<name>.*?)" is not available'), "use an image that has the extension {name}: `image: REF`"),
    (re.compile(r"user specified as a definer .*?does not exist"), "declare it under `users`, or `owners: false` beside `restore`"),
)
"""Patterns of server messages, and the advice for each."""


def load(step: Step, seeder: Seeder) -> None:
    assert step.feed is not None
    root = seeder.plan.setting.project
    read = {"pg-archive": _archive, "mysql-dump": _dump}[step.feed.dialect]
    try:
        before, content = read(step, root)
        ran = seeder.deployment.execute(step.service, Execution((*before, *step.feed.command), step.feed.env, content))
    except BadFile as error:
        raise failed(step, error.where(step.files[0]), str(error)) from None
    if ran.status:
        where, said = complained(step.files[0] if len(step.files) == 1 else step.files[0].parent, ran.output, root)
        raise failed(step, where, ran.output, ran.status, said, _advice(ran.output))


def _advice(output: str) -> str:
    for pattern, advice in ADVICE_FOR:
        if found := pattern.search(output):
            return advice.format(**found.groupdict())
    return ""


def _archive(step: Step, root: Path) -> tuple[tuple[str, ...], Iterable[bytes]]:
    """Return the prefix of the pg_restore command, and the content of its standard input."""
    if len(step.files) == 1:
        return (), pieces(step.files[0], root)
    folder = next((path.parent for path in step.files if plain_name(path) == TABLE_OF_CONTENTS), None)
    if folder is None:
        raise BadFile(f"no '{TABLE_OF_CONTENTS}' in this folder: `pg_dump --format=directory` makes one", place=str(step.files[0].parent))
    return IN_FOLDER, _tar([path for path in step.files if path.parent == folder], root)


def _tar(files: Iterable[Path], root: Path) -> Iterator[bytes]:
    """Yield *files* as a tar archive, in pieces."""
    for path in files:
        try:
            with open_file(path, root) as stream:
                entry = tarfile.TarInfo(path.name)
                entry.size, entry.mode = stream.seek(0, 2), 0o644
                stream.seek(0)
                yield entry.tobuf(tarfile.GNU_FORMAT)
                left = entry.size
                while left and (piece := stream.read(min(PIECE, left))):
                    left -= len(piece)
                    yield piece
                if left:
                    raise BadFile("it became shorter while it was being read", place=str(path))
                yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)
        except OSError as error:
            raise BadFile(f"it cannot be read: {error.strerror or error}", place=str(path)) from None
    yield b"\0" * tarfile.BLOCKSIZE * 2


def _dump(step: Step, root: Path) -> tuple[tuple[str, ...], Iterable[bytes]]:
    if len(step.files) != 1:
        raise BadFile("a dump of MariaDB is one file", place=str(step.files[0].parent))
    content = pieces(step.files[0], root)
    return (), with_question(content if step.step.owners else without_definers(content))
