"""Dependency manifests -> the names of what the project depends on. Another manifest is another entry of MANIFESTS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from envctl.init.project_files import ProjectFiles, as_list, as_map

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
                found[Dependency(_normal(name), path)] = None
    return list(found)


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-")


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


def _pipfile(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    for key in ("packages", "dev-packages"):
        yield from _table(tree.get(key), "extras")


def _package_json(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    for key in ("dependencies", "devDependencies", "optionalDependencies"):
        yield from as_map(tree.get(key))


def _go(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    for line in project.text(path).splitlines():
        match = re.match(r"\s*(?:require\s+)?([\w.-]+\.[\w.-]+/\S+)\s+v\d", line)
        if match and "// indirect" not in line:
            yield re.sub(r"/v\d+$", "", match[1])


def _gemfile(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    yield from re.findall(r"""^\s*gem\s*\(?["']([\w.-]+)["']""", project.text(path), re.MULTILINE)


def _maven(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    yield from re.findall(r"<artifactId>\s*([\w.-]+)\s*</artifactId>", project.text(path))


def _gradle(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    """`group:artifact:version` in quotes; a plugin's id stands for itself."""
    text = project.text(path)
    yield from re.findall(r"""["'][\w.-]+:([\w.-]+)(?::[^"']*)?["']""", text)
    yield from re.findall(r"""\bid\s*\(?\s*["']([\w.-]+)["']""", text)


def _composer(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    for key in ("require", "require-dev"):
        yield from as_map(tree.get(key))


def _cargo(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    tree = project.tree(path)
    for key in ("dependencies", "dev-dependencies"):
        yield from _table(tree.get(key), "features")
        yield from _table(as_map(tree.get("workspace")).get(key), "features")


def _dotnet(project: ProjectFiles, path: PurePosixPath) -> Iterator[str]:
    yield from re.findall(r"""<PackageReference\s[^>]*Include="([\w.-]+)\"""", project.text(path))


MANIFESTS: dict[str, Callable[[ProjectFiles, PurePosixPath], Iterable[str]]] = {
    "requirements*.txt": _requirements,
    "requirements*.in": _requirements,
    "pyproject.toml": _pyproject,
    "Pipfile": _pipfile,
    "package.json": _package_json,
    "go.mod": _go,
    "Gemfile": _gemfile,
    "pom.xml": _maven,
    "build.gradle": _gradle,
    "build.gradle.kts": _gradle,
    "composer.json": _composer,
    "Cargo.toml": _cargo,
    "*.csproj": _dotnet,
}
"""File name to what reads the names in it."""
