"""A loaded definition, checked against its kinds: their parameters, their requirements, and the targets of references."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envctl.definition.find import find_environment, find_project
from envctl.definition.kinds import Kind, load_kinds, recogniser
from envctl.definition.load import Loaded, load
from envctl.definition.models import Definition, Service
from envctl.environment.fragments import check_fragment
from envctl.environment.lanes import NO_LANES, Lanes
from envctl.environment.parameters import check_parameters
from envctl.environment.permissions import KEPT, refused
from envctl.environment.references import check_references
from envctl.environment.services import check_service
from envctl.errors import DefinitionError, Problem, did_you_mean
from envctl.process.answers import Answers
from envctl.session.mask import Mask

__all__ = ["Environment", "check", "open_environment"]


@dataclass(frozen=True)
class Environment:
    """A definition without mistakes, and the kinds that it can use."""

    loaded: Loaded
    definition: Definition
    kinds: Mapping[str, Kind]
    used: Mapping[str, str] = field(default_factory=dict)
    """The services that run elsewhere (`--use`), and their URLs."""
    lanes: Lanes = NO_LANES


def open_environment(
    env: str | os.PathLike[str],
    *,
    cwd: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str],
    untrusted: bool = False,
    answers: Answers | None = None,
) -> Environment:
    """Return the environment that *env* names.

    Args:
        untrusted: whether the definition comes from a stranger, so that it must not affect this machine.
        answers: a cache that may already have the answer of Docker Compose.

    Raises:
        UsageError: the environment does not exist.
        DefinitionError: the definition has mistakes; it has all of them.
        EngineMissing: *env* is a Compose file, and Docker Compose is not installed.
    """
    found = find_environment(os.fspath(env), cwd or Path.cwd())
    project = found.project
    if untrusted:
        # The folders around the stranger's checkout belong to the user, for example .git of the base with its credentials.
        project = find_project(found.file)
        environ = {key: value for key, value in environ.items() if KEPT.fullmatch(key)}
    kinds = load_kinds(None if untrusted else project)
    loaded = load(found.file, project=project, overrides=overrides, environ=environ, recognise=recogniser(kinds), answers=answers)
    problems = [*loaded.problems, *check(loaded, kinds, environ)]
    if problems or loaded.definition is None:
        raise DefinitionError(problems)
    if untrusted and (problems := refused(loaded, kinds)):
        raise DefinitionError(problems)
    return Environment(loaded, loaded.definition, kinds)


def check(loaded: Loaded, kinds: Mapping[str, Kind], environ: Mapping[str, str]) -> list[Problem]:
    """Return the mistakes that only the kinds reveal; no error is raised for them."""
    if loaded.definition is None:
        return []
    problems: list[Problem] = []
    known: dict[str, Kind] = {}
    for name, service in loaded.definition.services.items():
        problems += _known_kind(name, service, loaded, kinds, known)
    for name, service in loaded.definition.services.items():
        problems += check_fragment(service, loaded.source, ("services", name, "kubernetes"))
        if name in known:
            problems += check_service(name, service, known[name], loaded, known)
            problems += check_parameters(name, service, known[name], loaded)
    problems += check_references(loaded, known, environ)
    unknown = {".".join(map(str, path)) for path in loaded.unknown}
    mask = Mask(loaded.secrets - loaded.names())
    return [problem.masked(mask) for problem in problems if problem.path not in unknown]


def _known_kind(name: str, service: Service, loaded: Loaded, kinds: Mapping[str, Kind], known: dict[str, Kind]) -> Iterator[Problem]:
    """Add the service's kind to *known*, or yield what is wrong with it (in the kind's own file, if that file is wrong)."""
    try:
        known[name] = kinds[service.kind]
    except KeyError:
        path = ("services", name, "kind")
        yield loaded.source.problem(path, f"unknown kind '{service.kind}'", did_you_mean(service.kind, list(kinds), limit=40))
    except DefinitionError as error:
        yield from error.problems
