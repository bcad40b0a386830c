"""Conversion of a Compose file to services. Compose itself reads the file: profiles, `.env`, `${X:-y}`, `extends`, anchors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.definition.compose_complaints import place_of
from envctl.definition.compose_config import WARNING, ask_compose, last_words
from envctl.definition.compose_paths import UNREAD, ComposePaths
from envctl.definition.compose_services import ComposeReading, Recogniser
from envctl.definition.compose_storage import without_addresses, without_folders
from envctl.definition.compose_variables import complaint, unfit
from envctl.definition.models import NAME
from envctl.definition.source import Source, TreePath, displayed, inside
from envctl.definition.yaml_parser import Node, pairs
from envctl.errors import Problem, did_you_mean
from envctl.process.answers import Answers

_TOP = ("volumes", "networks", "configs", "secrets")


@dataclass(frozen=True)
class ComposeServices:
    """A Compose file as a part of the tree of a definition."""

    tree: dict[str, Any] = field(default_factory=dict)
    source: Source = field(default_factory=lambda: Source(Path()))
    problems: tuple[Problem, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """The volumes, networks, configs and secrets at the top level of the file."""
    losses: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables that are the file's secrets and configs (`environment: NAME`), from the caller or the `.env` beside the file."""
    unresolved: frozenset[str] = frozenset()
    """Variables of that `.env` whose values contain a reference that is not understood."""


@dataclass(frozen=True)
class ComposeReference:
    """The value of `from:` in a definition, and what is needed to read the Compose files."""

    value: Any
    source: Source
    folder: Path
    project: Path
    environ: Mapping[str, str]
    recognise: Recogniser
    nodes: dict[Path, Node | None] = field(default_factory=dict)
    """Gets the content of each Compose file that is read."""
    answers: Answers = field(default_factory=Answers)


def read_compose(reference: ComposeReference) -> ComposeServices:
    """Return the services of the Compose files. Mistakes in the files are listed in `problems`.

    Raises:
        EngineMissing: Docker Compose is not installed, or cannot be started.
        DefinitionError: Docker Compose takes too long.
    """
    files, profiles, problems = _asked(reference)
    paths = ComposePaths(reference.project, reference.environ, reference.nodes)
    found = [] if problems or not files else paths.read(files).problems
    unread = [problem for problem in found if problem.path == UNREAD]
    problems += [problem for problem in found if problem.path != UNREAD]
    if problems or not files:
        return _nothing(files, reference.source, problems)
    if unread:  # Compose might accept such a file, open files outside of the project that it names, and quote them
        return _nothing(files, _source(files, {}, reference.nodes), [problem._replace(path="") for problem in unread])
    variables = list(filter(Path.is_file, paths.variables))
    problems += unfit(variables, reference.project)
    done = None if problems else ask_compose(reference.answers, files, profiles, reference.environ)
    if done is None or done.returncode != 0:
        problems += [_failure(done.stderr, files, variables, reference)] if done is not None else []
        return _nothing(files, _source(files, {}, reference.nodes), problems)
    config = _without_nulls(json.loads(done.stdout))
    if not config.get("services"):
        problems.extend(_only_profiles(files, reference))
        return _nothing(files, _source(files, {}, reference.nodes), problems)
    unresolved = paths.beside.unresolved - reference.environ.keys()
    environ = {**{name: value for name, value in paths.beside.variables.items() if name not in unresolved}, **reference.environ}
    reading = ComposeReading(config, reference.recognise, reference.project, environ)
    services = reading.services()
    if not services:
        source = _source(files, config["services"], reference.nodes)
        return _nothing(files, source, [_no_replicas(source, list(config["services"]))])
    extra = _extra(reading)
    losses = [*_warnings(done.stderr), *_overrides(files), *reading.losses.lines()]
    tree = {"name": _name(config.get("name", files[0].parent.name)), "services": services}
    shared = _of_secrets(extra, environ)
    return ComposeServices(tree, _source(files, services, reference.nodes), (), extra, tuple(losses), shared, unresolved)


def _nothing(files: Sequence[Path], source: Source, problems: Sequence[Problem]) -> ComposeServices:
    """Return no services, but a name, so that a missing name is not reported too."""
    return ComposeServices({"name": _name(files[0].parent.name)} if files else {}, source, tuple(problems))


def _failure(stderr: str, files: Sequence[Path], variables: list[Path], reference: ComposeReference) -> Problem:
    """Return a problem with the message of Compose, at its place in a variable file or in a Compose file."""

    def alone(file: Path) -> str:
        before = [beside] if (beside := files[0].parent / ".env").is_file() else []
        options = [word for each in (*before, file) for word in ("--env-file", str(each))]
        return last_words(ask_compose(reference.answers, files, (), reference.environ, "--profiles", options=options).stderr)

    said = last_words(stderr)
    file, line = place_of(said, reference.nodes, files[0])
    other = Problem(displayed(file), line, "", f"Docker Compose says: {said}", next(_overrides(files), ""))
    return complaint(said, variables, reference.project, alone) or other


def _asked(reference: ComposeReference) -> tuple[list[Path], list[str], list[Problem]]:
    """Return the files, profiles and problems of `from: FILE`, `from: [FILE, FILE]` or `from: {file: ..., profiles: [...]}`."""
    value, at, problems = reference.value, ("from",), []
    profiles: list[str] = []
    if isinstance(value, dict):
        for key in value:
            if key not in ("file", "profiles"):
                hint = did_you_mean(key, ("file", "profiles"))
                problems.append(reference.source.problem((*at, key), f"unknown key '{key}'", hint))
        profiles = [str(item) for item in _listed(value.get("profiles"))]
        value = value.get("file")
    files = []
    for text in _listed(value):
        found = inside(text, reference.folder, reference.project, what="file") if isinstance(text, str) else ""
        if isinstance(found, Path):
            files.append(found)
        else:
            hint = "" if found else "`from: ../docker-compose.yml`"
            problems.append(reference.source.problem(at, found or "expected the path of a Compose file", hint))
    if not files and not problems:
        problems.append(reference.source.problem(at, "no Compose file is named", "`from: ../docker-compose.yml`"))
    return files, profiles, problems


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _only_profiles(files: Sequence[Path], reference: ComposeReference) -> Iterator[Problem]:
    """Yield a problem for files without a service that starts by default. It lists the profiles, if there are any."""
    known = ask_compose(reference.answers, files, (), reference.environ, "--profiles").stdout.split()
    if known:
        hint = f"`COMPOSE_PROFILES={known[0]}`, or `from: {{file: {files[0].name}, profiles: [{known[0]}]}}` in a definition"
        yield Problem(displayed(files[0]), 1, "services", f"every service is in a profile, and none is chosen: {', '.join(known)}", hint)
    else:
        yield Problem(displayed(files[0]), 1, "services", "this file has no services")


def _no_replicas(source: Source, names: Sequence[str]) -> Problem:
    what = f"nothing starts: every service has `replicas: 0` ({', '.join(names)})"
    return source.problem(("services", names[0]), what, "`replicas: 1`, or no `replicas:` at all, starts it")


def _warnings(stderr: str) -> Iterator[str]:
    for words in dict.fromkeys(WARNING.findall(stderr)):
        text = words.replace('\\"', '"').replace("\\\\", "\\")
        if "`version` is obsolete" not in text:
            yield f"compose: {text}"


def _overrides(files: Sequence[Path]) -> Iterator[str]:
    """Yield a sentence for each override file that is not read: Compose reads an override file only if no file is named."""
    for file in files:
        stems = (f"{file.stem}.override{suffix}" for suffix in (file.suffix, ".yml", ".yaml"))
        other = next((path for name in stems if (path := file.with_name(name)).is_file()), file)
        if other not in files:
            yield f"{other.name} is not read; `from: [{file.name}, {other.name}]` reads both"


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]", "-", text).lstrip("-_")[:40]
    return name if NAME.fullmatch(name) else "compose"


def _source(files: Sequence[Path], services: Mapping[str, Any], nodes: Mapping[Path, Node | None]) -> Source:
    """Return the places of the services: the lines on which the files name them."""
    shown = displayed(files[0])
    marks: dict[TreePath, tuple[Path, int]] = {("name",): (shown, 1), ("services",): (shown, 1)}
    marks |= {("services", name): (shown, 1) for name in services}
    for file in files:
        marks |= {("services", name): (displayed(file), line) for name, line in _lines(nodes.get(file)) if name in services}
    return Source(shown, marks)


def _lines(document: Node | None) -> Iterator[tuple[str, int]]:
    """Yield the services that a file names, with their lines."""
    for section, services in pairs(document):
        if section.text == "services":
            yield from ((name.text, name.line) for name, _ in pairs(services))


def _extra(reading: ComposeReading) -> dict[str, Any]:
    """Return the top-level sections, without the names of objects that are not external: each instance has its own names."""
    config, lose = reading.config, reading.losses.add
    found = {what: {name: _unnamed(item) for name, item in config[what].items()} for what in _TOP if config.get(what)}
    found["networks"] = without_addresses(found.get("networks", {}), lose)
    found["volumes"] = without_folders(found.get("volumes", {}), lose) | reading.volumes
    return {what: items for what, items in found.items() if items}


def _of_secrets(extra: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    given = [item for what in ("configs", "secrets") for item in extra.get(what, {}).values()]
    return {name: environ[name] for item in given if (name := str(item.get("environment"))) in environ}


def _unnamed(item: Any) -> dict[str, Any]:
    kept = dict(item or {})
    return kept if kept.get("external") else {key: value for key, value in kept.items() if key != "name"}


def _without_nulls(value: Any) -> Any:
    """Return *value* without nulls: Compose prints `command: null` for no command.

    The null of a network without options, or of a variable without a value, stays.
    """
    if not isinstance(value, dict):
        return [_without_nulls(item) for item in value] if isinstance(value, list) else value
    keep = ("networks", "environment", "volumes", "args")
    return {key: item if key in keep else _without_nulls(item) for key, item in value.items() if item is not None}
