"""Recognise projects whose database is an SQLite file, which needs no server."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envctl.init.code_variables import MAX_OF_FILE
from envctl.init.dependencies import Dependency
from envctl.init.project_files import ProjectFiles

LIBRARIES = frozenset([
    "sqlite3", "better-sqlite3", "sqlite", "sqlite-jdbc", "aiosqlite", "rusqlite", "ecto-sqlite3", "exqlite", "gorm.io/driver/sqlite",
    "github.com/mattn/go-sqlite3", "modernc.org/sqlite", "github.com/glebarez/sqlite", "microsoft.entityframeworkcore.sqlite",
])  # fmt: skip
_SETTINGS = ("settings*.py", "*.settings.py", "base.py", "schema.prisma", "database.yml", "application*.properties", "application*.yml")
_SAID = re.compile(r"""backends\.sqlite3|provider\s*=\s*["']sqlite["']|^\s*adapter:\s*sqlite3|jdbc:sqlite:""", re.MULTILINE)
MAX_FILES = 20


def sqlite(project: ProjectFiles, dependencies: Iterable[Dependency]) -> str:
    """Return the place in the project which shows that its data is in SQLite; empty if there is none."""
    library = next((f"{each.file}: {each.name}" for each in dependencies if each.name in LIBRARIES), "")
    settings = project.named(*_SETTINGS)[:MAX_FILES]
    return library or next((str(path) for path in settings if _SAID.search(project.text(path)[:MAX_OF_FILE])), "")
