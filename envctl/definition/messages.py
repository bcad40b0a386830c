"""What pydantic found -> problems in plain words, at the line where the value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from envctl.definition.models import Build, Definition, Model, Ready, Resources, SeedStep, Service, Test
from envctl.definition.source import Source, TreePath
from envctl.errors import Problem, did_you_mean

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of usual size",
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
    "memory": "like 256M or 1G",
    "resources": "`resources: {cpu: 0.5, memory: 256M}`",
}


def problems_of(error: ValidationError, data: Any, at: TreePath, source: Source) -> list[Problem]:
    """One problem for each mistake of the *data* that stands *at* a path."""
    grouped: dict[TreePath, list[Mapping[str, Any]]] = {}
    for found in error.errors(include_url=False, include_context=True):
        grouped.setdefault(_clean(found["loc"], data, found["type"]), []).append(found)
    deepest = [path for path in grouped if not _has_deeper(path, grouped)]
    return [_problem(grouped[path], path, data, at, source) for path in deepest]


def wrong_paths(error: ValidationError, data: Any) -> list[TreePath]:
    """Where the *data* is wrong."""
    return [_clean(found["loc"], data, "") for found in error.errors(include_url=False)]


def without(data: Any, paths: Sequence[TreePath]) -> Any:
    """*data* without what stands at *paths* in its maps; lists stay, since their items are known by number."""
    if not isinstance(data, dict):
        return data
    gone = {path[0] for path in paths if len(path) == 1}
    return {key: without(value, [path[1:] for path in paths if path[:1] == (key,)]) for key, value in data.items() if key not in gone}


def _clean(location: Sequence[str | int], value: Any, kind: str) -> TreePath:
    """The path in the data: pydantic puts the branch of a union between its steps."""
    path: list[str | int] = []
    for step in location:
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            items: Any = value
            value = items[step]
            path.append(step)
    return (*path, location[-1]) if kind == "missing" else tuple(path)


def _has_deeper(path: TreePath, all_paths: Mapping[TreePath, Any]) -> bool:
    """A mistake further inside says more than that the whole is of no other allowed type."""
    types_only = all(error["type"] in _EXPECTED for error in all_paths[path])
    return types_only and any(other[: len(path)] == path and other != path for other in all_paths)


def _problem(errors: list[Mapping[str, Any]], path: TreePath, data: Any, at: TreePath, source: Source) -> Problem:
    message, hint = _words(errors, _value(data, path), (*at, *path))
    if errors[0]["type"] == "missing":
        return source.problem((*at, *path[:-1]), message, hint)
    return source.problem((*at, *path), message, hint)


def _words(errors: list[Mapping[str, Any]], value: Any, full: TreePath) -> tuple[str, str]:
    kind, context = errors[0]["type"], errors[0].get("ctx", {})
    last = str(full[-1]) if full else ""
    if kind == "extra_forbidden":
        return f"unknown key '{last}'", did_you_mean(last, known_keys(full[:-1]), limit=40)
    if kind == "missing":
        return f"the key '{last}' is missing", "`name: shop`" if full == ("name",) else ""
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{shown(value)} is out of range: it must be {words} {context[bound]:g}", ""
    if kind == "literal_error":
        return _choice(value, context["expected"])
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} has not the right form", _EXAMPLES.get(last, f"it must match {context['pattern']}")
    if kind == "value_error":
        return str(context["error"]), ""
    expected = list(dict.fromkeys(_EXPECTED[e["type"]] for e in errors if e["type"] in _EXPECTED))
    if expected:
        return f"expected {' or '.join(expected)}, not {shown(value)}", _example(value, expected, last)
    return re.sub(r"^Input should be", "it should be", str(errors[0]["msg"])), ""


def _choice(value: Any, expected: str) -> tuple[str, str]:
    known = re.findall(r"'([^']+)'", expected)
    return f"{shown(value)} is none of {', '.join(known)}", did_you_mean(value, known) if isinstance(value, str) else ""


def _example(value: Any, expected: list[str], key: str) -> str:
    if isinstance(value, str) and "${" in value:
        return "only `var` and `env` can be used in expressions here"
    if "text" in expected and isinstance(value, int | float):
        return f'write it in quotes: "{value}"'
    return _EXAMPLES.get(key, "")


def shown(value: Any) -> str:
    """A value as messages name it."""
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


def _value(data: Any, path: TreePath) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def known_keys(path: TreePath) -> list[str]:
    """The keys that a map at *path* of a definition may have."""
    model = _model_at(path)
    return list(_keys(model)) if model else []


def _keys(model: type[Model]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name != "from_compose":
            yield _alias(name, field)
    if model is Definition:
        yield from ("include", "from")


def _alias(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _model_at(path: TreePath) -> type[Model] | None:
    match path:
        case ():
            return Definition
        case ("services", _):
            return Service
        case ("services", _, "ready"):
            return Ready
        case ("services", _, "build"):
            return Build
        case ("services", _, "resources"):
            return Resources
        case ("services", _, "seed", _):
            return SeedStep
        case ("tests", _):
            return Test
    return None
