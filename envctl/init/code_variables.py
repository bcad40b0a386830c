"""Find the environment variables that source code and settings files read, with their defaults in the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from envctl.init.model import ROOT, ExampleVariable
from envctl.init.project_files import ProjectFiles

MAX_FILES = 2000
MAX_CHARACTERS, MAX_OF_FILE, MAX_MATCHES = 8_000_000, 200_000, 500
MAX_VARIABLES = 500
CODE = frozenset([
    ".py", ".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".jsx", ".tsx", ".go", ".rb", ".erb", ".java", ".kt", ".php", ".rs", ".cs",
    ".ex", ".exs", ".prisma", ".scala", ".groovy", ".toml",
])  # fmt: skip
_NAME = r"[A-Z][A-Z0-9_]{2,60}"
_DEFAULT = r"""(?:\s*,\s*(?:default\s*=\s*)?(?:["']([^"'\n]{0,300})["']|(\d{1,5})\b))?"""
_CALL = re.compile(rf"""[\[(]\s{{0,3}}["']({_NAME})["']{_DEFAULT}""")
_CALLEE = re.compile(r"(?i:env|environ|(?<!app\.)config)\w{0,20}!?(?:(?:\.|::)\w{1,20}[!?]?)?\s?$")
"""Matches what precedes a name in `os.environ["X"]`, `os.getenv("X", "y")`, `env.str("X")`, `ENV.fetch("X")`, `env::var("X")` and so on."""
_NODE = re.compile(rf"""(?:process|Bun|meta)\.env\.({_NAME})!?(?:\s*(?:\|\||\?\?)\s*(?:["'`]([^"'`\n]{{0,300}})["'`]|(\d{{1,5}})\b))?""")
_TAKEN_APART = re.compile(r"\{([^{}]{0,2000})\}\s{0,5}=\s{0,5}(?:process|Bun|import\.meta)\.env\b")
_PART = re.compile(
    rf"""(?<![\w.:"'])({_NAME})(?=\s*(?:[,:=]|\Z))(?:\s*:\s*\w{{1,60}})?(?:\s*=\s*(?:["'`]([^"'`\n]{{0,300}})["'`]|(\d{{1,5}})\b))?"""
)
"""One name in a destructured environment: `const { DB_HOST: host, PORT = 3000 } = process.env`."""
_TAG = re.compile(rf"""(?:env|envconfig|mapstructure):\s?"({_NAME})\b""")
"""Struct tags in Go."""
_FIELD = re.compile(
    r"""^[ ]{4}(\w{2,60})\s*:\s*[^=\n]{1,80}(?:=\s*(?:Field\(\s*)?(?:default\s*=\s*)?["']([^"'\n]{0,300})["'])?""", re.MULTILINE
)
_PREFIX = re.compile(r"""env_prefix\s*=\s*["'](\w*)["']""")
_PLACEHOLDER = re.compile(rf"\$\{{({_NAME})(?::([^}}\n]{{0,300}}))?\}}")
_SPRING = (
    "spring.datasource.",
    "spring.r2dbc.",
    "spring.data.redis.",
    "spring.redis.",
    "spring.rabbitmq.",
    "spring.kafka.",
    "spring.mail.",
    "spring.data.mongodb.",
)
_SPRING_FILES = ("application*.properties", "application*.yml", "application*.yaml", "bootstrap*.yml")


def code_variables(project: ProjectFiles) -> list[ExampleVariable]:
    """Return the variables that code reads: for each folder with a Dockerfile, and for the rest of the project.

    If several places read a variable, a place with a default is preferred, then application code before tests. If no place in a folder
    has a default, a default from another folder is used.
    """
    folders = sorted(
        {path.parent for path in project.named("Dockerfile", "*.Dockerfile", "Dockerfile.*")}, key=lambda path: -len(path.parts)
    )
    found: dict[tuple[str, PurePosixPath], ExampleVariable] = {}
    values: dict[str, str] = {}
    for variable in sorted([*_of_code(project), *_of_spring(project)], key=lambda variable: is_test(variable.file)):
        key = variable.name, next((folder for folder in folders if variable.file.is_relative_to(folder)), ROOT)
        if key not in found or (variable.value and not found[key].value):
            found[key] = variable
        values[variable.name] = values.get(variable.name) or variable.value
    filled = (variable._replace(value=variable.value or values[variable.name]) for variable in found.values())
    return list(filled)[:MAX_VARIABLES]


def is_test(path: PurePosixPath) -> bool:
    """Return whether *path* is a test file, or is in a folder of tests."""
    return any(re.match(r"(?:.*[._-])?(?:tests?|spec|conftest)(?:[._-]|$)", part) for part in path.parts)


def _of_code(project: ProjectFiles) -> Iterator[ExampleVariable]:
    left = MAX_CHARACTERS
    for path in [path for path in project.files if path.suffix in CODE][:MAX_FILES]:
        text = project.text(path)[:MAX_OF_FILE]
        left -= len(text)
        if left < 0:
            return
        apart = [match[1] for match in islice(_TAKEN_APART.finditer(text), MAX_MATCHES)]
        places = [(_CALL, text), (_NODE, text), (_TAG, text), *((_PART, names) for names in apart)]
        for pattern, where in places:
            for match in islice(pattern.finditer(where), MAX_MATCHES):
                if pattern is _CALL and not _CALLEE.search(text[max(0, match.start() - 45) : match.start()]):
                    continue
                yield ExampleVariable(match[1], next(filter(None, match.groups()[1:]), ""), path, "code")
        if path.suffix == ".py" and "BaseSettings" in text:
            prefix = found[1] if (found := _PREFIX.search(text)) else ""
            for match in _FIELD.finditer(text):
                yield ExampleVariable(f"{prefix}{match[1]}".upper(), match[2] or "", path, "code")


def _of_spring(project: ProjectFiles) -> Iterator[ExampleVariable]:
    """Yield placeholders and properties of servers; Spring reads each property from a variable too (`SPRING_DATASOURCE_URL`)."""
    for path in project.named(*_SPRING_FILES):
        text = project.text(path)
        if len(text) > MAX_OF_FILE:
            continue
        for match in _PLACEHOLDER.finditer(text):
            yield ExampleVariable(match[1], match[2] or "", path, "code")
        properties = _lines(text) if path.suffix == ".properties" else _flat(project.tree(path))
        for key, value in properties:
            if key.startswith(_SPRING) and "${" not in value:
                yield ExampleVariable(re.sub(r"\.", "_", key.replace("-", "")).upper(), value, path, "code")


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not key.lstrip().startswith(("#", "!")):
            yield key.strip(), value.strip()


def _flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict) and prefix.count(".") < 10:
        for key, value in tree.items():
            yield from _flat(value, f"{prefix}{key}.")
    elif not isinstance(tree, (dict, list)) and tree is not None:
        yield prefix.rstrip("."), str(tree)
