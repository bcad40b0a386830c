"""Checks of a definition whose shape is valid: unknown names, missing files, ports that occur twice, unknown formats."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envctl.definition.env_files import wrong_lines
from envctl.definition.matching import TooManyFiles, matching
from envctl.definition.models import Build, Definition, FileFormat, Ready, SeedStep, Service
from envctl.definition.patterns import SYNTAX, no_pattern
from envctl.definition.source import PathType, Source, TreePath, inside
from envctl.definition.variable_names import SERVICE_NAME, wrong_output
from envctl.errors import Problem, did_you_mean
from envctl.files.folders import FileRefused

FORMATS = ("dotenv", "shell", "json", "github", "gitlab", "properties", "spring", "postman", "cypress", "karate")


LATER = ("faults",)
"""Keys of a service that are reserved, but not implemented yet."""

_SHELLS_OWN = frozenset({"&&", "||", "|", "&", ">", ">>", "<", "2>&1"})
_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_SHELLS_COMMANDS = frozenset({"cd", "export", "source", ".", "set", "ulimit", "umask"})


def _of_a_shell(command: Any) -> str:
    """Return the first word of a command line that only a shell understands; an empty text if there is none. Quoted text is ignored."""
    if not isinstance(command, str):
        return ""
    words = _QUOTED.sub("quoted", command).split()
    if words and words[0] in _SHELLS_COMMANDS:
        return words[0]
    return next((word for word in words if word in _SHELLS_OWN), "")


@dataclass(frozen=True)
class Checks:
    """The checks of one definition. Every path must exist, have the right type, and be inside the project."""

    source: Source
    project: Path
    base: Callable[[TreePath], Path]
    """A function that returns the folder to which paths at a place are relative."""
    services: tuple[str, ...]
    """The names of all services, including those with mistakes."""

    def problems(self, definition: Definition) -> Iterator[Problem]:
        """Yield a problem for every mistake in *definition*."""
        for name, service in definition.services.items():
            yield from self._service(name, service, ("services", name))
        yield from self._same_hosts(definition)
        yield from self._same_ports(definition)
        yield from self._top(definition)

    def _top(self, definition: Definition) -> Iterator[Problem]:
        if definition.ttl == 0:
            yield self.source.problem(("ttl",), "0 is not a lifetime", "write it like 2h")
        for target, form in definition.write.items():
            if form not in FORMATS:
                yield self.source.problem(("write", target), f"unknown format '{form}'", did_you_mean(form, FORMATS))
            yield from self._written(target, ("write", target))
        for key in definition.outputs or {}:
            if wrong := wrong_output(key):
                yield self.source.problem(("outputs", key), wrong, "letters, digits and _, like DATABASE_URL")
        for name, test in definition.tests.items():
            if word := _of_a_shell(test.run):
                hint = f"start one with `run: sh -c '...'`, or run a script of the project instead of `{word}`"
                yield self.source.problem(("tests", name, "run"), f"no shell runs this, so `{word}` has no meaning", hint)
            for index, only in enumerate(test.only):
                yield from self._exists(only, ("tests", name, "only", index))
            for index, pattern in enumerate(test.reports):
                yield from self._inside(pattern, ("tests", name, "reports", index))

    def _exists(self, name: str, path: TreePath, also: tuple[str, ...] = ()) -> Iterator[Problem]:
        if name not in self.services and name not in also:
            known = [*self.services, *also]
            yield self.source.problem(path, f"there is no service '{name}'", did_you_mean(name, known))

    def _service(self, name: str, service: Service, at: TreePath) -> Iterator[Problem]:
        for other in service.needs:
            yield from self._exists(other, (*at, "needs", other))
            if other == name:
                yield self.source.problem((*at, "needs", other), f"'{name}' needs itself")
        for index, step in enumerate(service.seed):
            yield from self._step(step, (*at, "seed", index))
        for key in service.env:
            if not SERVICE_NAME.fullmatch(key):
                message = f"'{key}' is not a name for an environment variable"
                yield self.source.problem((*at, "env", key), message, "letters, digits and _, like DATABASE_URL")
        for key in LATER:
            if getattr(service, key) is not None:
                yield self.source.problem((*at, key), f"`{key}` does nothing in this version", "leave it out until a version supports it")
        if service.run is not None and service.command is not None:
            message = "`run` is the whole program, `command` only has arguments for the image's own program; give one of them"
            yield self.source.problem((*at, "command"), message)
        if "shell" not in service.model_fields_set and (word := _of_a_shell(service.run)):
            yield self.source.problem((*at, "run"), f"no shell runs this, so `{word}` has no meaning", "`shell: true` beside it runs one")
        if not service.from_compose:  # Compose has checked and resolved these already
            yield from self._ports(service, at)
            yield from self._build(service, (*at, "build"))
        if service.ready is not None:
            yield from self._ready(service.ready, (*at, "ready"))
        yield from self._files(service, at)

    def _files(self, service: Service, at: TreePath) -> Iterator[Problem]:
        for index, text in enumerate(service.env_file):
            wrong = list(self._path(text, (*at, "env_file", index), "file"))
            yield from wrong or self._variables(text, (*at, "env_file", index))
        for target, text in service.files.items():
            yield from self._path(text, (*at, "files", target), "file or folder")
            if not target.startswith("/"):
                message = f"'{target}' is not a path inside the container"
                hint = "such a path begins with /, and the project's file follows the colon"
                yield self.source.problem((*at, "files", target), message, hint)

    def _variables(self, text: str, at: TreePath) -> Iterator[Problem]:
        found = inside(text, self.base(at), self.project, what="file")
        try:
            yield from wrong_lines(found, self.project) if isinstance(found, Path) else ()
        except (FileRefused, OSError) as error:  # too large, or not a regular file
            yield self.source.problem(at, f"'{text}' cannot be read: {error}")

    def _step(self, step: SeedStep, at: TreePath) -> Iterator[Problem]:
        for other in step.needs:
            yield from self._exists(other, (*at, "needs", other))
        if step.in_ is not None and step.format in ("command", "http"):
            yield from self._exists(step.in_, (*at, "in"), ("server", "host") if step.command is not None else ())
        elif step.in_ is not None:
            yield self.source.problem(
                (*at, "in"), "`in` says where a `command` runs, or which service gets the requests of `http`; this step has neither"
            )
        if step.file is not None and step.file_format is not None:
            yield from self._seed_file(step.file, step.file_format, (*at, step.format))
        for index, pattern in enumerate(step.inputs):
            yield from self._pattern(pattern, (*at, "inputs", index))

    def _ports(self, service: Service, at: TreePath) -> Iterator[Problem]:
        seen: dict[int, str] = {service.port: "port"} if service.port is not None else {}
        for name, number in service.ports.items():
            if number in seen:
                message = f"the port {number} occurs twice"
                yield self.source.problem((*at, "ports", name), message, f"`{seen[number]}` has it already")
            seen.setdefault(number, f"ports.{name}")

    def _ready(self, ready: Ready, at: TreePath) -> Iterator[Problem]:
        if ready.timeout == 0:
            yield self.source.problem((*at, "timeout"), "0 leaves no time to get ready", "write it like 60s")
        if ready.http is not None and not ready.http.startswith(("/", "${")):
            hint = f"`http: /{ready.http}`" if "://" not in ready.http else "a path such as `http: /healthz`; envctl knows host and port"
            yield self.source.problem((*at, "http"), f"'{ready.http}' is not a path of the service", hint)
        if ready.status is not None and ready.http is None:
            yield self.source.problem((*at, "status"), "`status` goes with `http`, which is missing")
        if ready.log is not None and "${" not in ready.log and (complaint := no_pattern(ready.log)):
            yield self.source.problem((*at, "log"), complaint, SYNTAX)

    def _same_ports(self, definition: Definition) -> Iterator[Problem]:
        """Yield a problem for each port of this machine that `publish` names twice."""
        seen: dict[int, str] = {}
        for name, service in definition.services.items():
            for number in service.publish.values() if isinstance(service.publish, dict) else [service.publish] if service.publish else []:
                if number in seen:
                    yield self.source.problem(
                        ("services", name, "publish"), f"{seen[number]} has the port {number} already", "choose another"
                    )
                seen.setdefault(number, name)

    def _same_hosts(self, definition: Definition) -> Iterator[Problem]:
        """Yield a problem for services with the same host name, which is in lower case, and on Kubernetes has `-` instead of `_`."""
        seen: dict[str, str] = {}
        composed = {name for name, service in definition.services.items() if service.from_compose}
        for name in self.services:
            host = name.lower().replace("_", "-")
            if host in seen and not {name, seen[host]} <= composed:
                message = f"'{name}' and '{seen[host]}' are the same host name"
                yield self.source.problem(("services", name), message, "they differ only in case, or in - and _")
            seen.setdefault(host, name)

    def _path(self, text: str, path: TreePath, what: PathType) -> Iterator[Problem]:
        found = inside(text, self.base(path), self.project, what=what)
        if isinstance(found, str):
            yield self.source.problem(path, found)

    def _build(self, service: Service, at: TreePath) -> Iterator[Problem]:
        if service.build is None:
            return
        build = service.build if isinstance(service.build, Build) else Build(context=service.build)
        where = (*at, "context") if isinstance(service.build, Build) else at
        folder = inside(build.context, self.base(where), self.project, what="folder")
        if isinstance(folder, str):
            yield self.source.problem(where, folder)
        elif build.dockerfile_inline is None and (build.dockerfile or service.run is None):
            # With `run`, the service can be a local process, which needs no image.
            yield from self._dockerfile(build, folder, at)

    def _dockerfile(self, build: Build, folder: Path, at: TreePath) -> Iterator[Problem]:
        found = inside(build.dockerfile or "Dockerfile", folder, self.project, what="file")
        if isinstance(found, str):
            path = (*at, "dockerfile") if build.dockerfile else at
            hint = "" if build.dockerfile else "write one, or say `run:`"
            yield self.source.problem(path, f"in {build.context}, {found}", hint)

    def _seed_file(self, text: str, form: FileFormat, path: TreePath) -> Iterator[Problem]:
        found = inside(text, self.base(path), self.project, what="file or folder" if form.in_folders or form.whole_folders else "file")
        if isinstance(found, str):
            yield self.source.problem(path, found)
        elif found.is_dir() and not any(entry.name.endswith(form.in_folders or ("",)) for entry in found.iterdir()):
            what = f"{' or '.join(form.in_folders)} file" if form.in_folders else "file"
            yield self.source.problem(path, f"the folder '{text}' contains no {what}")

    def _pattern(self, pattern: str, path: TreePath) -> Iterator[Problem]:
        if outside := list(self._inside(pattern, path)):
            yield from outside
            return
        try:
            if next(matching(pattern, self.base(path)), None) is None:
                yield self.source.problem(path, f"no file matches '{pattern}'")
        except (TooManyFiles, re.error) as error:
            yield self.source.problem(path, str(error))

    def _inside(self, pattern: str, path: TreePath) -> Iterator[Problem]:
        """Yield a problem if a glob begins outside of the project, or has a `..` after a wildcard, which could lead out of it."""
        fixed = pattern[: next((i for i, c in enumerate(pattern) if c in "*?["), len(pattern))].rpartition("/")[0] or "."
        found = inside("/" if pattern.startswith("/") else fixed, self.base(path), self.project, what=None)
        if isinstance(found, str):
            yield self.source.problem(path, found.replace(f"'{fixed}'", f"'{pattern}'"))
        elif ".." in pattern.removeprefix(fixed).split("/"):
            yield self.source.problem(path, f"'{pattern}': `..` cannot follow a wildcard")

    def _written(self, target: str, path: TreePath) -> Iterator[Problem]:
        found = inside(target, self.base(path), self.project, what=None)
        if isinstance(found, str):
            yield self.source.problem(path, found)
        elif any(part.casefold() == ".git" for part in found.parts):
            yield self.source.problem(path, f"'{target}' is in .git, where envctl does not write")
        elif found.is_dir():
            yield self.source.problem(path, f"'{target}' is a folder, but a file is expected")
        elif found.resolve() == self.source.file.resolve():
            yield self.source.problem(path, f"'{target}' is the definition itself")
