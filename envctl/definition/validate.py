"""The evaluated tree -> Definition; each service and test by itself, so that none hides another's mistakes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from envctl.definition.messages import known_keys, problems_of, without, wrong_paths
from envctl.definition.models import NAME, Build, Definition, Model, Service, Test, name_problem
from envctl.definition.source import Source, TreePath, dotted
from envctl.errors import Problem, did_you_mean

_APART = ("services", "tests")
_HIDDEN = ("from_compose", "with_")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Validated:
    """The definition without what is wrong in it."""

    definition: Definition
    problems: tuple[Problem, ...]
    partial: Mapping[str, frozenset[str]]
    """Services that lack keys which are wrong, and those keys."""


def validate(tree: Mapping[str, Any], source: Source, composed: Collection[str], unknown: Collection[TreePath]) -> Validated:
    """Check the shape of *tree*; nothing is said about the *unknown* places, which have a problem already."""
    checking = _Checking(source, frozenset(unknown), [])
    services = checking.each("services", tree.get("services"), Service)
    services = {
        name: service.model_copy(update={"from_compose": name in composed})
        for name, service in services.items()
        if checking.name(name, ("services", name))
    }
    tests = checking.each("tests", tree.get("tests"), Test)
    rest = checking.top({key: value for key, value in tree.items() if key not in _APART})
    definition = rest.model_copy(update={"services": services, "tests": tests})
    return Validated(definition, tuple(checking.problems), checking.partial)


@dataclass
class _Checking:
    source: Source
    unknown: frozenset[TreePath]
    problems: list[Problem]
    partial: dict[str, frozenset[str]] = field(default_factory=dict)

    def top(self, data: dict[str, Any]) -> Definition:
        """The top level; keys that are wrong are left out."""
        try:
            return Definition.model_validate(data)
        except ValidationError as error:
            self._report(error, data, ())
            wrong = {str(found["loc"][0]) for found in error.errors() if found["loc"]} | {"name"}
            kept = {key: value for key, value in data.items() if key not in wrong}
            name = data.get("name")
            return Definition.model_validate({**kept, "name": name if _is_name(name) else "unnamed"})

    def each(self, key: str, items: Any, model: type[M]) -> dict[str, M]:
        """The valid ones of a map of models."""
        if items is None:
            return {}
        if not isinstance(items, dict):
            self.problems.append(self.source.problem((key,), f"expected a map of names to {key}"))
            return {}
        checked = ((name, self._one(value, (key, name), model)) for name, value in items.items())
        return {name: value for name, value in checked if value is not None}

    def _one(self, data: Any, at: TreePath, model: type[M]) -> M | None:
        if data is None:
            hint = "`kind:`, `image:`, `build:` or `run:` says what it is" if model is Service else ""
            self.problems.append(self.source.problem(at, f"'{at[-1]}' is empty", hint))
            return None
        if model is Test and isinstance(data, str | list):
            data = {"run": data}
        self.problems += self._unknown_keys(data, at)
        data = {key: value for key, value in data.items() if key not in _HIDDEN} if isinstance(data, dict) else data
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self._report(error, data, at)
            return self._rest(error, data, at, model)

    def _rest(self, error: ValidationError, data: Any, at: TreePath, model: type[M]) -> M | None:
        """What is right in it, so that a wrong key hides no mistakes in the others."""
        paths = wrong_paths(error, data)
        wrong = {str(path[0]) for path in paths if path}
        if not isinstance(data, dict) or not wrong & set(data):
            return None
        if model is Service:
            self.partial[str(at[-1])] = frozenset(wrong)
        for rest in (without(data, paths), {key: value for key, value in data.items() if key not in wrong}):
            try:
                return model.model_validate(rest)
            except ValidationError:
                continue
        return None

    def _report(self, error: ValidationError, data: Any, at: TreePath) -> None:
        for problem in problems_of(error, data, at, self.source):
            if not any(f"{dotted(known)}.".startswith(f"{problem.path}.") for known in self.unknown):
                self.problems.append(problem)

    def _unknown_keys(self, data: Any, at: TreePath) -> Iterator[Problem]:
        """The model takes every key of Compose's in `build`, and Python's names for some of ours."""
        for key in _HIDDEN:
            if isinstance(data, dict) and key in data:
                yield self.source.problem((*at, key), f"unknown key '{key}'", did_you_mean(key, known_keys(at)))
        build = data.get("build") if isinstance(data, dict) else None
        known = [*known_keys((*at, "build")), *Build.COMPOSE_KEYS]
        for key in build if isinstance(build, dict) else ():
            if key not in known and not key.startswith("x-"):
                yield self.source.problem((*at, "build", key), f"unknown key '{key}'", did_you_mean(key, known, limit=30))

    def name(self, name: str, path: TreePath) -> bool:
        problem = name_problem(name)
        if problem is not None:
            self.problems.append(self.source.problem(path, *problem))
        return problem is None


def _is_name(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None
