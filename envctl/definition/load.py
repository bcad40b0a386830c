"""A definition's file -> Loaded: includes merged, variables known, shape and names checked, all mistakes listed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from envctl.definition.compose_file import Recogniser
from envctl.definition.find import find_project, is_compose_file
from envctl.definition.gather import Gathering
from envctl.definition.models import Definition
from envctl.definition.names import Names
from envctl.definition.paths import Paths, locate
from envctl.definition.source import Document, Source, TreePath, displayed
from envctl.definition.static import Static
from envctl.definition.validate import validate
from envctl.definition.variables import Variables, resolve_variables
from envctl.errors import Problem

SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Loaded:
    """What a definition's file says.

    `definition` is the part of it that is valid; None where the file cannot be read at all. It is the whole of it when
    `problems` is empty. `secrets` are the values of secret variables, to be masked.
    """

    definition: Definition | None
    tree: dict[str, Any]
    file: Path
    folder: Path
    project: Path
    source: Source
    variables: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    """The variables that `--set` or the environment gave, as texts."""
    secrets: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)
    compose_extra: dict[str, Any] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    unknown: frozenset[TreePath] = frozenset()
    """Places that have a problem in their expressions."""
    broken: frozenset[str] = frozenset()
    """Variables without a value."""
    partial: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Services with wrong keys, which are left out of the definition."""

    def base(self, at: TreePath = ()) -> Path:
        """The folder that paths at a place are relative to: that of the file it stands in."""
        file, _ = self.source.at(at)
        return Path(os.path.abspath(file)).parent

    def path(self, text: str, at: TreePath = ()) -> Path:
        """The file or folder that a *text* at (or directly below) a place of the definition names."""
        return Path(os.path.normpath(self.base(locate(self.tree, text, at)) / text))


def load(
    file: Path,
    *,
    project: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
    recognise: Recogniser = lambda image: None,
) -> Loaded:
    """Read *file*; mistakes in it are in `problems`, all of them, and nothing is raised for them.

    *recognise* says of which kind the images of a Compose file are.

    Raises:
        EngineMissing: it refers to a Compose file, and Docker Compose is not there.
    """
    file = Path(os.path.abspath(file))
    project = project or find_project(file, Path.cwd())
    gathering = Gathering(project, environ, recognise)
    document = _composed(file) if is_compose_file(file) else None
    document = gathering.gather(file, start=document)
    if document.tree is None:
        return Loaded(None, {}, file, file.parent, project, document.source, problems=list(document.problems))
    tree = _main_ports(_cleaned(document.tree), gathering.composed)
    variables = resolve_variables(tree.get("variables"), document.source, overrides or {}, environ)
    static = _evaluate(tree, document, variables, environ)
    tree = static.tree({key: value for key, value in tree.items() if key != "variables"}) | {"variables": variables.values}
    checked = validate(tree, document.source, gathering.composed, static.unknown)
    loaded = Loaded(
        definition=checked.definition,
        tree=tree,
        file=file,
        folder=file.parent,
        project=project,
        source=document.source,
        variables=variables.values,
        given=variables.given,
        secrets=frozenset(variables.secrets),
        problems=[*document.problems, *variables.problems, *static.problems, *checked.problems],
        compose_extra=gathering.compose_extra,
        losses=gathering.losses,
        unknown=frozenset(static.unknown),
        broken=frozenset(variables.broken),
        partial=checked.partial,
    )
    loaded.problems.extend(_contents(loaded, checked.definition))
    loaded.problems[:] = [masked(problem, loaded.secrets) for problem in loaded.problems]
    return loaded


def masked(problem: Problem, secrets: Collection[str]) -> Problem:
    """*problem* without the values of secret variables; shorter ones are no secrets, and stand in every sentence."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            message, hint = problem.message.replace(secret, "***"), problem.hint.replace(secret, "***")
            problem = replace(problem, message=message, hint=hint)
    return problem


def _composed(file: Path) -> Document:
    """A Compose file as a definition of its own: nothing but `from`."""
    shown = displayed(file)
    return Document({"from": file.name}, Source(shown, {("from",): (shown, 1)}))


def _cleaned(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Without `x-*` keys, without empty ones, and without the services that are removed."""
    found = _without_extras(tree)
    services = found.get("services")
    if isinstance(services, dict):
        found["services"] = {name: _without_extras(service) if isinstance(service, dict) else service for name, service in services.items()}
    return found


def _main_ports(tree: dict[str, Any], composed: Collection[str]) -> dict[str, Any]:
    """Our `port:` on a service of a Compose file comes first among those that the file publishes."""
    services = tree.get("services")
    if isinstance(services, dict):
        tree["services"] = {
            name: _main_port(service) if name in composed and isinstance(service, dict) else service for name, service in services.items()
        }
    return tree


def _main_port(service: dict[str, Any]) -> dict[str, Any]:
    port, ports = service.get("port"), service.get("ports", {})
    if not isinstance(port, int) or not isinstance(ports, dict):
        return service
    name = next((key for key, number in ports.items() if number == port), "main")
    others = {key: number for key, number in ports.items() if number != port}
    return {**{key: value for key, value in service.items() if key != "port"}, "ports": {name: port, **others}}


def _without_extras(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if value is not None and not key.startswith("x-")}


def _evaluate(tree: Mapping[str, Any], document: Document, variables: Variables, environ: Mapping[str, str]) -> Static:
    services = tree.get("services")
    names = tuple(services) if isinstance(services, dict) else ()
    return Static(document.source, {"var": variables.values, "env": environ}, names, variables.broken)


def _contents(loaded: Loaded, definition: Definition) -> list[Problem]:
    services = loaded.tree.get("services")
    names = tuple(services) if isinstance(services, dict) else ()
    paths = Paths(loaded.source, loaded.project, loaded.base)
    found = [*Names(loaded.source, names).problems(definition), *paths.problems(definition)]
    unknown = {".".join(map(str, path)) for path in loaded.unknown}
    return [problem for problem in found if problem.path not in unknown]
