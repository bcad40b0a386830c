"""Every path of a definition is there, is what it should be, and stays inside the project."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from envctl.definition.containment import What, inside
from envctl.definition.models import Build, Definition, SeedStep, Service
from envctl.definition.source import Source, TreePath
from envctl.errors import Problem

SQL = (".sql", ".sql.gz")


@dataclass(frozen=True)
class Paths:
    source: Source
    project: Path
    base: Callable[[TreePath], Path]
    """The folder that paths of a place are relative to."""

    def problems(self, definition: Definition) -> Iterator[Problem]:
        for name, service in definition.services.items():
            yield from self._service(service, ("services", name))
        for target in definition.write:
            yield from self._written(target, ("write", target))

    def check(self, text: str, path: TreePath, what: What | None) -> Iterator[Problem]:
        found = inside(text, self.base(path), self.project, what=what)
        if isinstance(found, str):
            yield self.source.problem(path, found)

    def _service(self, service: Service, at: TreePath) -> Iterator[Problem]:
        # Compose has found and resolved these already.
        if not service.from_compose:
            yield from self._build(service, (*at, "build"))
        for index, text in enumerate(service.env_file):
            yield from self.check(text, (*at, "env_file", index), "file")
        for target, text in service.files.items():
            yield from self.check(text, (*at, "files", target), "file or folder")
            if not target.startswith("/"):
                message = f"'{target}' is no path inside the container"
                yield self.source.problem(
                    (*at, "files", target), message, "it begins with /; the file of the project stands behind the colon"
                )
        for index, step in enumerate(service.seed):
            yield from self._step(step, (*at, "seed", index))

    def _build(self, service: Service, at: TreePath) -> Iterator[Problem]:
        if service.build is None:
            return
        build = service.build if isinstance(service.build, Build) else Build(context=service.build)
        where = (*at, "context") if isinstance(service.build, Build) else at
        folder = inside(build.context, self.base(where), self.project, what="folder")
        if isinstance(folder, str):
            yield self.source.problem(where, folder)
        elif build.dockerfile_inline is None and (build.dockerfile or service.run is None):
            # With `run` it can be a local process, which needs no image.
            yield from self._dockerfile(build, folder, at)

    def _dockerfile(self, build: Build, folder: Path, at: TreePath) -> Iterator[Problem]:
        found = inside(build.dockerfile or "Dockerfile", folder, self.project, what="file")
        if isinstance(found, str):
            path = (*at, "dockerfile") if build.dockerfile else at
            hint = "" if build.dockerfile else "write one, or say `run:`"
            yield self.source.problem(path, f"in {build.context}, {found}", hint)

    def _step(self, step: SeedStep, at: TreePath) -> Iterator[Problem]:
        if step.sql is not None:
            yield from self._sql(step.sql, (*at, "sql"))
        if step.csv is not None:
            yield from self.check(step.csv, (*at, "csv"), "file")
        for index, pattern in enumerate(step.inputs):
            yield from self._pattern(pattern, (*at, "inputs", index))

    def _sql(self, text: str, path: TreePath) -> Iterator[Problem]:
        found = inside(text, self.base(path), self.project, what="file or folder")
        if isinstance(found, str):
            yield self.source.problem(path, found)
        elif found.is_dir() and not any(entry.name.endswith(SQL) for entry in found.iterdir()):
            yield self.source.problem(path, f"the folder '{text}' holds no .sql or .sql.gz file")

    def _pattern(self, pattern: str, path: TreePath) -> Iterator[Problem]:
        fixed = pattern[: next((i for i, c in enumerate(pattern) if c in "*?["), len(pattern))].rpartition("/")[0] or "."
        found = inside("/" if pattern.startswith("/") else fixed, self.base(path), self.project, what=None)
        if isinstance(found, str):
            yield self.source.problem(path, found.replace(f"'{fixed}'", f"'{pattern}'"))
        elif not any(glob.iglob(pattern, root_dir=self.base(path), recursive=True)):
            yield self.source.problem(path, f"no file matches '{pattern}'")

    def _written(self, target: str, path: TreePath) -> Iterator[Problem]:
        found = inside(target, self.base(path), self.project, what=None)
        if isinstance(found, str):
            yield self.source.problem(path, found)
        elif found.is_dir():
            yield self.source.problem(path, f"'{target}' is a folder, and a file is written")
        elif found.resolve() == self.source.file.resolve():
            yield self.source.problem(path, f"'{target}' is the definition itself")


def locate(tree: Mapping[str, object], text: str, at: TreePath) -> TreePath:
    """Where below *at* the *text* stands: a merged map's keys may come from several files."""
    value: object = tree
    for step in at:
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next(((*at, key) for key, item in items if item == text), at)
