"""The JSON Schema of a definition, including the parameters of every kind, for editors and as a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.definition.kinds import Kind
from envctl.definition.models import Build, Definition, Variable

Schema = dict[str, Any]

_EXPRESSION: Schema = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "An expression: `${var.x}` or `${env.X}`; where text is allowed, also `${db.url}`.",
}
_EXPRESSION_REF: Schema = {"$ref": "#/$defs/expression"}
_LIST_OR_TEXT: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def json_schema(kinds: Mapping[str, Kind]) -> Schema:
    """Return the JSON Schema (2020-12) of a definition that uses *kinds*.

    Raises:
        DefinitionError: the file of a kind is wrong.
    """
    schema = _open(_without_titles(Definition.model_json_schema()))
    parts: Schema = schema.pop("$defs")
    _services(parts, kinds)
    _top(schema, parts)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "envctl environment",
        "description": "An environment for tests.",
        **{key: value for key, value in schema.items() if key != "description"},
        "$defs": {"expression": _EXPRESSION, **parts},
    }


def _top(schema: Schema, parts: Schema) -> None:
    properties = schema["properties"]
    properties["include"] = {**_LIST_OR_TEXT, "description": "Files that are merged first; values in this file win."}
    properties["from"] = {
        "anyOf": [
            *_LIST_OR_TEXT["anyOf"],
            {
                "type": "object",
                "properties": {"file": _LIST_OR_TEXT, "profiles": _LIST_OR_TEXT},
                "required": ["file"],
                "additionalProperties": False,
            },
        ],
        "description": "An existing Compose file; the keys of this definition are merged into its services.",
    }
    parts["Variable"] = _open(_without_titles(Variable.model_json_schema()))
    plain: Schema = {"type": ["string", "number", "boolean", "array", "null"]}
    properties["variables"]["additionalProperties"] = {"anyOf": [plain, {"$ref": "#/$defs/Variable"}]}
    properties["services"]["additionalProperties"] = {"$ref": "#/$defs/Service"}
    parts["Service"]["type"] = ["object", "null"]  # null removes a service of an included file
    short: Schema = {"type": ["string", "array"]}
    properties["tests"]["additionalProperties"] = {"anyOf": [short, {"$ref": "#/$defs/Test"}]}
    schema["patternProperties"] = {"^x-": {}}
    # The name may come from an included file or a Compose file.
    schema["anyOf"] = [{"required": [key]} for key in (*schema.pop("required"), "include", "from")]


def _services(parts: Schema, kinds: Mapping[str, Kind]) -> None:
    service = parts["Service"]
    del service["properties"]["from_compose"]
    service["patternProperties"] = {"^x-": {}}
    service["properties"]["kind"] = {
        "description": service["properties"]["kind"].get("description", ""),
        "default": "service",
        "anyOf": [{"enum": sorted(kinds)}, _EXPRESSION_REF],
    }
    service["allOf"] = [_for_kind(kind, names) for kind, names in _named(kinds)]
    parts["Build"]["properties"] |= {key: {} for key in Build.COMPOSE_KEYS}
    parts["Build"]["additionalProperties"] = False


def _named(kinds: Mapping[str, Kind]) -> list[tuple[Kind, list[str]]]:
    """Return each kind once, with all of its names."""
    names: dict[str, list[str]] = {}
    for name in kinds:
        names.setdefault(kinds[name].kind, []).append(name)
    return [(kinds[name], also) for name, also in sorted(names.items())]


def _for_kind(kind: Kind, names: list[str]) -> Schema:
    """Return the schema of `with` for the services of one kind. Services that name no kind have the kind `service`."""
    condition: Schema = {"properties": {"kind": {"enum": sorted(names)}}}
    if "service" not in names:
        condition["required"] = ["kind"]
    parameters = _opened(kind.parameters) | {name: _several(_opened(several.options)) for name, several in kind.several.items()}
    described = {"type": "object", "properties": parameters, "additionalProperties": False}
    if kind.description:
        described["description"] = kind.description
    return {"if": condition, "then": {"properties": {"with": described}}}


def _opened(schemas: Mapping[str, Any]) -> Schema:
    return {name: _open(schema) for name, schema in schemas.items()}


def _several(options: Schema) -> Schema:
    one: Schema = {"type": "object", "properties": options, "additionalProperties": False}
    named: Schema = {**one, "properties": {"name": {"type": "string"}, **options}, "required": ["name"]}
    return {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"anyOf": [{"type": "string"}, named]}},
            {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, one]}},
        ]
    }


def _open(schema: Any) -> Any:
    """Return *schema* with expressions allowed where it would not accept text."""
    if isinstance(schema, list):
        return [_open(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # An expression may fit several alternatives at once, which `oneOf` would refuse.
    found = {("anyOf" if key == "oneOf" else key): value for key, value in schema.items()}
    for key in ("properties", "$defs", "patternProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _opened(found[key])
    for key in ("items", "additionalProperties", "anyOf", "allOf", "prefixItems"):
        if key in found:
            found[key] = _open(found[key])
    return found if _takes_text(found) else _or_expression(found)


def _takes_text(schema: Schema) -> bool:
    if "enum" in schema or "const" in schema or "pattern" in schema or "minLength" in schema:
        return False
    wanted = schema.get("type")
    types = wanted if isinstance(wanted, list) else [wanted]
    return not {"integer", "number", "boolean"} & set(types) or "string" in types


def _or_expression(schema: Schema) -> Schema:
    """Return a schema that also accepts an expression. Descriptions and defaults stay at its top, where editors look for them."""
    outer: Schema = {key: schema[key] for key in ("description", "default", "examples") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in outer}
    return {**outer, "anyOf": [inner, _EXPRESSION_REF]}


def _without_titles(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_titles(value) for name, value in item.items()} if key == "properties" else _without_titles(item)
        for key, item in schema.items()
        if key != "title" or not isinstance(item, str)
    }
