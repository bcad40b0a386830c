"""A check of a service's `with:` against the parameters of its kind (JSON Schema) and the items that the kind can declare."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envctl.definition.expressions import has_expression
from envctl.definition.kinds import Kind, Several, items_of
from envctl.definition.load import Loaded
from envctl.definition.models import Service
from envctl.definition.patterns import BadPattern, compiled
from envctl.definition.source import TreePath, inside, locate, walk
from envctl.definition.validate import shown
from envctl.environment.plain_values import plainly_fits
from envctl.errors import Problem, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.reading import read_file

if TYPE_CHECKING:
    from jsonschema import FormatChecker, ValidationError
    from jsonschema.protocols import Validator

PROJECT_PATH = "project-path"
Declared = Mapping[str, Sequence[str]]
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "nothing",
}


def check_parameters(name: str, service: Service, kind: Kind, loaded: Loaded) -> Iterator[Problem]:
    """Yield the mistakes in the `with` of one service."""
    at: TreePath = ("services", name, "with")
    declared = _declared(name, service, kind, loaded)
    for key, value in service.with_.items():
        if service.from_compose and value == "":
            continue  # the Compose file sets no such credential
        if key in kind.several:
            yield from _several(value, kind.several[key], (*at, key), loaded, declared)
        elif key in kind.parameters:
            yield from _against(kind.parameters[key], value, (*at, key), loaded, declared)
        else:
            hint = did_you_mean(key, [*kind.parameters, *kind.several], limit=40)
            message = f"the kind '{kind.kind}' has no parameter '{key}'"
            yield loaded.source.problem((*at, key), message, hint)
    if kind.kind == "stub":
        yield from _routes(service.with_.get("routes"), (*at, "routes"), loaded)


def _declared(name: str, service: Service, kind: Kind, loaded: Loaded) -> Declared:
    """Return the names of the items that the server declares; a key is missing if an expression is one of its names."""
    found = {key: list(items_of(kind, key, service.with_.get(key), name, loaded.budget)) for key in kind.several}
    if "users" in found and service.with_.get("username"):
        found["users"].append(str(service.with_["username"]))
    return {key: names for key, names in found.items() if not any("${" in item for item in names)}


def _several(value: Any, several: Several, at: TreePath, loaded: Loaded, declared: Declared) -> Iterator[Problem]:
    """Yield the mistakes in a name, a list of names (or of maps with a name), or a map of names to options."""
    schema = {"type": "object", "properties": several.options, "additionalProperties": False}
    called = {"type": "string", "minLength": 1, **several.name}
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _against(called, str(name), (*at, name), loaded, declared)
            if item is not None:
                yield from _against(schema, item, (*at, name), loaded, declared)
    elif isinstance(value, list):
        named = {**schema, "properties": {**several.options, "name": called}, "required": ["name"]}
        for index, item in enumerate(value):
            yield from _against(named if isinstance(item, dict) else called, item, (*at, index), loaded, declared)
        yield from _twice(value, at, loaded)
    elif isinstance(value, str):
        yield from _against(called, value, at, loaded, declared)
    else:
        hint = f"`{at[-1]}: [one, two]` or `{at[-1]}: {{one: {{}}, two: {{}}}}`"
        yield loaded.source.problem(at, f"expected a list of names or a map of names to options, not {shown(value)}", hint)


def _twice(names: list[Any], at: TreePath, loaded: Loaded) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate(names):
        name = item.get("name") if isinstance(item, dict) else item
        if isinstance(name, str):
            if name in seen:
                yield loaded.source.problem((*at, index), f"'{name}' occurs twice")
            seen.add(name)


def _against(schema: Any, value: Any, at: TreePath, loaded: Loaded, declared: Declared) -> Iterator[Problem]:
    """Yield what is wrong with *value*. A text with expressions is not checked, because its value is known only later."""
    if plainly_fits(schema, value):
        return
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    reason = _wrong_schema(json.dumps(schema, sort_keys=True))
    try:
        validator = _validator()(schema, format_checker=_formats(at, loaded, declared), registry=Registry())
        found = [] if reason else list(validator.iter_errors(value))
    except (RecursionError, BadPattern, Unresolvable) as error:  # a `$ref` to a file or an address is never resolved
        reason = str(error)
    if reason:
        yield loaded.source.problem(at, f"the kind's schema for this is wrong: {reason}", "correct it in the kind's file")
        return
    for mistake in found:
        for leaf in _leaves(mistake):
            if not _is_later(leaf.instance):
                yield from _problems(leaf, at, loaded)


@lru_cache(maxsize=1024)
def _wrong_schema(text: str) -> str:
    """Return what is wrong with a kind's schema. The result is cached: the check is slow, and services share schemas."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(text))
    except (SchemaError, RecursionError) as error:
        return str(getattr(error, "message", error))
    return "`patternProperties` is not supported; `additionalProperties` takes a schema" if '"patternProperties":' in text else ""


@cache
def _validator() -> type[Validator]:
    """Return a validator of JSON Schema that uses RE2 for `pattern`, because Python's own engine does not end for some patterns."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def matches(validator: Validator, pattern: str, value: object, schema: object) -> Iterator[ValidationError]:
        if isinstance(value, str) and not compiled(pattern, lines=False).search(value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    extended: type[Validator] = extend(Draft202012Validator, {"pattern": matches})  # type: ignore[no-untyped-call]
    return extended


def _formats(at: TreePath, loaded: Loaded, declared: Declared) -> FormatChecker:
    """Return a checker for two formats: a path of the project, which must exist, and `declared-KEY`, a name declared under KEY."""
    from jsonschema import FormatChecker

    def is_there(value: object) -> bool:
        if isinstance(value, str) and not has_expression(value):
            found = inside(value, loaded.base(locate(loaded.tree, value, at)), loaded.project, what="file or folder")
            if isinstance(found, str):
                raise ValueError(found)
        return True

    checker = FormatChecker(formats=())

    def is_declared(key: str, value: object) -> bool:
        if isinstance(value, str) and value not in declared[key] and not (key == "exchanges" and value.startswith("amq.")):
            known = did_you_mean(value, declared[key])
            raise ValueError(f"there is no '{value}' under `{key}`" + (f"; {known}" if known else ""))
        return True

    checker.checks(PROJECT_PATH, raises=ValueError)(is_there)
    for key in declared:
        checker.checks(f"declared-{key}", raises=ValueError)(partial(is_declared, key))
    return checker


def _is_later(value: Any) -> bool:
    return any(isinstance(text, str) and has_expression(text) for _, text in walk(value))


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the mistakes inside a choice: those of the branches whose type fits the value."""
    if error.validator not in ("oneOf", "anyOf") or not error.context:
        yield error
        return
    here = len(error.absolute_path)
    wrong_type = {e.schema_path[0] for e in error.context if e.validator == "type" and len(e.absolute_path) == here}
    meant = [e for e in error.context if e.schema_path[0] not in wrong_type]
    if not meant:
        yield error
    for inner in meant:
        yield from _leaves(inner)


def _problems(error: ValidationError, at: TreePath, loaded: Loaded) -> Iterator[Problem]:
    path: TreePath = (*at, *error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        schema: Any = error.schema
        known = list(schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                yield loaded.source.problem((*path, key), f"unknown key '{key}'", did_you_mean(key, known, limit=40))
        return
    message, hint = _words(error)
    yield loaded.source.problem(path, message, hint)


def _words(error: ValidationError) -> tuple[str, str]:
    value: Any = error.instance
    wanted: Any = error.validator_value
    match error.validator:
        case "type":
            hint = f'write it in quotes: "{value}"' if wanted == "string" and isinstance(value, int | float) else ""
            return f"expected {_type(wanted)}, not {shown(value)}", hint
        case "oneOf" | "anyOf":
            return f"expected {_alternatives(error)}, not {shown(value)}", ""
        case "enum":
            known = [str(item) for item in wanted]
            return f"{shown(value)} is not one of {', '.join(known)}", did_you_mean(str(value), known, limit=0)
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            bound = "at least" if "inimum" in error.validator else "at most"
            return f"{shown(value)} is out of range: it must be {bound} {wanted}", ""
        case "minLength" | "minItems" | "minProperties":
            described: Any = error.schema
            return (f"{shown(value)} is too short: {wanted} at least" if value else "this is empty"), str(described.get("x-empty", ""))
        case "pattern":
            schema: Any = error.schema
            described = f" ({schema['description'].rstrip('.')})" if schema.get("description") else ""
            return f"{shown(value)} does not have the right form", f"it must match {wanted}{described}"
        case "required":
            missing = [key for key in wanted if key not in value]
            return f"the key '{missing[0]}' is missing", ""
        case "format":
            return str(error.cause or error.message), ""
    return error.message, ""


def _type(wanted: Any) -> str:
    names = wanted if isinstance(wanted, list) else [wanted]
    return " or ".join(_TYPES.get(name, str(name)) for name in names)


def _alternatives(error: ValidationError) -> str:
    types = [_type(inner.validator_value) for inner in error.context or () if inner.validator == "type"]
    return " or ".join(dict.fromkeys(types)) or "something else"


def _content(project: Path, path: Path) -> bytes:
    """Return the content of a stub's file, as the stub will read its copy. Raise OSError for a file that cannot be copied."""
    try:
        return read_file(path, project)
    except FileRefused as error:
        raise OSError(errno.EACCES, str(error)) from None


def _routes(value: Any, at: TreePath, loaded: Loaded) -> Iterator[Problem]:
    """Yield the mistakes that the stub would find in its routes."""
    from envctl.servers.stub.loading import MappingError, load

    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    written = [text for text in texts if isinstance(text, str) and not has_expression(text)]
    found = [inside(text, loaded.base(locate(loaded.tree, text, at)), loaded.project, what="file or folder") for text in written]
    paths = [path for path in found if isinstance(path, Path)]
    if len(paths) < len(found):
        return  # the check of the format reports it
    try:
        load(paths, partial(_content, loaded.project))
    except MappingError as error:
        for message in error.messages:
            yield loaded.source.problem(at, message)
