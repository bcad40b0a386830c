"""Validation of an evaluated tree. The errors of pydantic become problems in plain words, at the line of the wrong value.

Each service and test is validated by itself, so that a mistake in one does not hide mistakes in another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from envctl.definition.compose_words import OUR_WORDS
from envctl.definition.models import NAME, Build, Definition, Model, Ready, Resources, SeedStep, Service, Test, name_problem
from envctl.definition.source import Source, TreePath, dotted, value_at
from envctl.errors import Problem, did_you_mean

_APART = ("services", "tests")
_HIDDEN = ("from_compose", "with_")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Validated:
    """The valid part of a definition, and the problems in the rest."""

    definition: Definition
    problems: tuple[Problem, ...]
    partial: Mapping[str, frozenset[str]]
    """The services without their wrong keys, each with these keys."""


def validate(tree: Mapping[str, Any], source: Source, composed: Collection[str], unknown: Collection[TreePath]) -> Validated:
    """Return the valid part of *tree* as a definition, and a problem for each mistake in its shape.

    Args:
        composed: the names of the services that a Compose file describes.
        unknown: paths that have a problem already, so that nothing else is reported about them.
    """
    checking = _Checking(source, frozenset(unknown), [])
    services = checking.each("services", tree.get("services"), Service)
    services = {
        name: service.model_copy(update={"from_compose": name in composed})
        for name, service in services.items()
        if name in composed or checking.name(name, ("services", name))
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
        """Return the top level of the definition without its wrong keys, which are reported."""
        try:
            return Definition.model_validate(data)
        except ValidationError as error:
            self._report(error, data, ())
            wrong = {str(found["loc"][0]) for found in error.errors() if found["loc"]} | {"name"}
            kept = {key: value for key, value in data.items() if key not in wrong}
            name = data.get("name")
            return Definition.model_validate({**kept, "name": name if _is_name(name) else "unnamed"})

    def each(self, key: str, items: Any, model: type[M]) -> dict[str, M]:
        """Return the valid items of a map of models; report the others."""
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
        """Return a model of *data* without its wrong keys, so that the other keys are checked too; None if there is no valid rest."""
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
        """Yield a problem for each unknown key that the model would accept: any key in `build`, and the Python names of some fields."""
        for key in _HIDDEN:
            if isinstance(data, dict) and key in data:
                yield self.source.problem((*at, key), f"unknown key '{key}'", did_you_mean(key, known_keys(at)))
        build = data.get("build") if isinstance(data, dict) else None
        known = [*known_keys((*at, "build")), *Build.COMPOSE_KEYS]
        for key in build if isinstance(build, dict) else ():
            if key not in known and not key.startswith("x-"):
                yield self.source.problem((*at, "build", key), f"unknown key '{key}'", did_you_mean(key, known, limit=30))

    def name(self, name: str, path: TreePath) -> bool:
        """Return whether *name* is valid for a service; report a problem at *path* if it is not."""
        problem = name_problem(name)
        if problem is not None:
            self.problems.append(self.source.problem(path, *problem))
        return problem is None


def _is_name(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "number_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_EXAMPLES = {
    "env": "`NAME: value` lines",
    "needs": "`needs: [db]` or `needs: {db: started}`",
    "seed": "`seed: [{sql: seeds/shop.sql}]`",
    "ports": "`ports: {http: 8000, admin: 9000}`",
    "port": "`port: 8000`; for more than one, `ports: {http: 8000, admin: 9000}`",
    "with": "the kind's parameters, `with: {databases: [shop]}`",
    "ready": "`ready: {http: /healthz}`",
    "build": "`build: ./folder` or `build: {context: ./folder}`",
    "files": "`files: {/path/inside: file-of-the-project}`",
    "write": "`write: {.env.test: dotenv}`",
    "outputs": "`outputs: {DATABASE_URL: ${db.url}}`",
    "services": "`services: {db: {kind: postgres}}`",
    "memory": "write it like 256M or 1G",
    "resources": "`resources: {cpu: 0.5, memory: 256M}`",
}


_COMPOSE_WORDS = {
    "environment": "`env: {NAME: value}`",
    "depends_on": "`needs: [db]`, which a reference like `${db.url}` says already",
    "healthcheck": "`ready: {http: /healthz}` or `ready: {command: ...}`",
    "volumes": "`files: {/path/inside: file-of-the-project}`",
    "entrypoint": "`run: ...`, the whole command",
    "container_name": "the service's own name",
    "deploy": "`replicas: 2` and `resources: {cpu: 0.5, memory: 256M}`",
    "working_dir": "`compose: {working_dir: ...}`",
    "restart": "`compose: {restart: ...}`",
}
"""Keys of a Compose service, each with its equivalent in a definition."""


def problems_of(error: ValidationError, data: Any, at: TreePath, source: Source) -> list[Problem]:
    """Return one problem for each mistake in *data*, which is at the path *at* of the tree."""
    grouped: dict[TreePath, list[Mapping[str, Any]]] = {}
    for found in error.errors(include_url=False, include_context=True):
        grouped.setdefault(_clean(found["loc"], data, found["type"]), []).append(found)
    deepest = [path for path in grouped if not _has_deeper(path, grouped)]
    return [_problem(grouped[path], path, data, at, source) for path in deepest]


def wrong_paths(error: ValidationError, data: Any) -> list[TreePath]:
    """Return the paths of the wrong values in *data*."""
    return [_clean(found["loc"], data, "") for found in error.errors(include_url=False)]


def without(data: Any, paths: Sequence[TreePath]) -> Any:
    """Return *data* without the values at *paths* in its maps. Lists stay complete, because paths contain the numbers of their items."""
    if not isinstance(data, dict):
        return data
    gone = {path[0] for path in paths if len(path) == 1}
    return {key: without(value, [path[1:] for path in paths if path[:1] == (key,)]) for key, value in data.items() if key not in gone}


def _clean(location: Sequence[str | int], value: Any, kind: str) -> TreePath:
    """Return the path in the data: a location of pydantic also contains the branches of unions."""
    path: list[str | int] = []
    for step in location:
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            items: Any = value
            value = items[step]
            path.append(step)
    return (*path, location[-1]) if kind == "missing" else tuple(path)


def _has_deeper(path: TreePath, all_paths: Mapping[TreePath, Any]) -> bool:
    """Return whether *path* has type errors only, and a value below it has an error, which then tells more."""
    types_only = all(error["type"] in _EXPECTED for error in all_paths[path])
    return types_only and any(other[: len(path)] == path and other != path for other in all_paths)


def _problem(errors: list[Mapping[str, Any]], path: TreePath, data: Any, at: TreePath, source: Source) -> Problem:
    message, hint = _words(errors, value_at(data, path), (*at, *path))
    where = path[:-1] if errors[0]["type"] == "missing" else path
    return source.problem((*at, *where), message, hint)


def _words(errors: list[Mapping[str, Any]], value: Any, full: TreePath) -> tuple[str, str]:
    kind, context = errors[0]["type"], errors[0].get("ctx", {})
    last = str(full[-1]) if full else ""
    if kind == "extra_forbidden":
        if len(full) == 3 and full[0] == "services" and last in OUR_WORDS:
            return f"'{last}' is the name that Compose uses", OUR_WORDS[last]
        return unknown_key(last, full[:-1])
    if kind == "missing":
        return f"the key '{last}' is missing", "`name: shop`" if full == ("name",) else ""
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{shown(value)} is out of range: it must be {words} {context[bound]:g}", ""
    if kind == "literal_error":
        return _choice(value, context["expected"])
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} does not have the right form", _EXAMPLES.get(last, f"it must match {context['pattern']}")
    if kind == "value_error":
        return str(context["error"]), ""
    expected = list(dict.fromkeys(_EXPECTED[e["type"]] for e in errors if e["type"] in _EXPECTED))
    if expected:
        return f"expected {' or '.join(expected)}, not {shown(value)}", _example(value, expected, last)
    return re.sub(r"^Input should be", "it should be", str(errors[0]["msg"])), ""


def _choice(value: Any, expected: str) -> tuple[str, str]:
    known = re.findall(r"'([^']+)'", expected)
    return f"{shown(value)} is not one of {', '.join(known)}", did_you_mean(value, known, limit=0) if isinstance(value, str) else ""


def _example(value: Any, expected: list[str], key: str) -> str:
    if isinstance(value, str) and "${" in value:
        return "only `var` and `env` can be used in expressions here"
    if "text" in expected and isinstance(value, int | float):
        return f'write it in quotes: "{value}"'
    return _EXAMPLES.get(key, "")


def shown(value: Any) -> str:
    """Return *value* as messages show it, in at most 80 characters."""
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


_INNER: Mapping[str, type[Model]] = {"ready": Ready, "build": Build, "resources": Resources, "seed": SeedStep}


def known_keys(path: TreePath) -> list[str]:
    """Return the keys that a map at *path* of a definition may have; an empty list if they are not limited."""
    match path:
        case ():
            return [*_keys(Definition), "include", "from"]
        case ("services", _):
            return _keys(Service)
        case ("services", _, "ready" | "build" | "resources" as key) | ("services", _, "seed" as key, _):
            return _keys(_INNER[str(key)])
        case ("tests", _):
            return _keys(Test)
    return []


def evaluated_keys(path: TreePath) -> list[str]:
    """Return the same as `known_keys`, but an empty list for `build`, which accepts every key of Compose."""
    return known_keys(path) if path[2:3] != ("build",) else []


def unknown_key(key: str, at: TreePath) -> tuple[str, str]:
    """Return a message and a hint for a *key* that the map at the path *at* cannot have."""
    if len(at) == 2 and at[0] == "services" and key in _COMPOSE_WORDS:
        return f"unknown key '{key}'", f"here it is called {_COMPOSE_WORDS[key]}"
    return f"unknown key '{key}'", did_you_mean(key, known_keys(at), limit=40)


def _keys(model: type[Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if name != "from_compose"]
