"""Dependency manifests -> the names of what the project depends on. Another manifest is another entry of MANIFESTS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from envctl.init.project_files import ProjectFiles, as_list, as_map

Reader = Callable[[ProjectFiles, PurePosixPath], Iterable[str]]
_PYTHON = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")


class Dependency(NamedTuple):
    """A name as the drivers' table has it (small letters, `-` for `_`); an extra makes `name[extra]` as well."""

    name: str
    file: PurePosixPath


def dependencies(project: ProjectFiles) -> list[Dependency]:
    """What all manifests of the project name; a name is listed once for each file that has it."""
    found: dict[Dependency, None] = {}
    for pattern, read in MANIFESTS.items():
        for path in project.named(pattern):
            for name in read(project, path):
                found[Dependency(name.strip().lower().replace("_", "-"), path)] = None
    return list(found)


def _with_extras(name: str, extras: Iterable[object]) -> Iterator[str]:
    yield name
    yield from (f"{name}[{str(extra).strip()}]" for extra in extras)


def _python(requirement: object) -> Iterator[str]:
    if match := _PYTHON.match(str(requirement)):
        yield from _with_extras(match[1], match[2].split(",") if match[2] else ())


def _requirements(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    for line in project.text(path).splitlines():
        if not line.lstrip().startswith(("#", "-")):
            yield from _python(line)


def _pyproject(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    standard, tool = as_map(tree.get("project")), as_map(tree.get("tool"))
    groups = [*as_map(standard.get("optional-dependencies")).values(), *as_map(tree.get("dependency-groups")).values()]
    for listed in (standard.get("dependencies"), as_map(tool.get("uv")).get("dev-dependencies"), *groups):
        for requirement in as_list(listed):
            yield from _python(requirement)
    poetry = as_map(tool.get("poetry"))
    for table in (poetry, *map(as_map, as_map(poetry.get("group")).values())):
        for key in ("dependencies", "dev-dependencies"):
            yield from _table(table.get(key), "extras")


def _table(table: object, extras: str) -> Iterator[str]:
    for name, value in as_map(table).items():
        yield from _with_extras(name, as_list(as_map(value).get(extras)))


def _tables(*keys: str) -> Reader:
    """The names in the tables of a file that have one of *keys*."""

    def read(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
        tree = project.tree(path)
        for key in keys:
            yield from _table(tree.get(key), "extras")

    return read


def _found(*patterns: str) -> Reader:
    return lambda project, path: [name for pattern in patterns for name in re.findall(pattern, project.text(path), re.MULTILINE)]


def _go(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    for line in project.text(path).splitlines():
        match = re.match(r"\s*(?:require\s+)?([\w.-]+\.[\w.-]+/\S+)\s+v\d", line)
        if match and "// indirect" not in line:
            yield re.sub(r"/v\d+$", "", match[1])


def _cargo(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    for key in ("dependencies", "dev-dependencies"):
        yield from _table(tree.get(key), "features")
        yield from _table(as_map(tree.get("workspace")).get(key), "features")


_gradle = _found(r"""["'][\w.-]+:([\w.-]+)(?::[^"']*)?["']""", r"""\bid\s*\(?\s*["']([\w.-]+)["']""")
"""`group:artifact:version` in quotes; a plugin's id stands for itself."""
MANIFESTS: dict[str, Reader] = {
    "requirements*.txt": _requirements,
    "requirements*.in": _requirements,
    "pyproject.toml": _pyproject,
    "Pipfile": _tables("packages", "dev-packages"),
    "package.json": _tables("dependencies", "devDependencies", "optionalDependencies"),
    "go.mod": _go,
    "Gemfile": _found(r"""^\s*gem\s*\(?["']([\w.-]+)["']"""),
    "pom.xml": _found(r"<artifactId>\s*([\w.-]+)\s*</artifactId>"),
    "build.gradle": _gradle,
    "build.gradle.kts": _gradle,
    "composer.json": _tables("require", "require-dev"),
    "Cargo.toml": _cargo,
    "*.csproj": _found(r"""<PackageReference\s[^>]*Include="([\w.-]+)\""""),
}
"""File name to what reads the names in it."""
