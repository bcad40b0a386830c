"""Generate the reference of the definition from its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs_tools.markdown import code, sentence, table
from envctl.definition.checks import LATER
from envctl.definition.json_schema import json_schema
from envctl.definition.kinds import load_kinds

Schema = Mapping[str, Any]

SECTIONS = {
    "Variable": "A variable",
    "Service": "A service",
    "Build": "`build`",
    "Ready": "`ready`",
    "SeedStep": "A seed step",
    "Resources": "`resources`",
    "Requests": "`requests`",
    "Expose": "`expose`",
    "Test": "A test",
}
"""The parts of the schema in the order of the page, with their headings."""
HANDED_OVER = "as in Compose"
"""The type shown for keys that the schema does not describe."""


def definition() -> str:
    """Return the sections of the reference."""
    schema = json_schema(load_kinds())
    parts = schema["$defs"]
    text = ["## The file", _keys(schema)]
    for name, heading in SECTIONS.items():
        text += [f"## {heading}", *_about(parts[name]), _keys(parts[name])]
    return "\n\n".join(text)


def _about(part: Schema) -> Iterator[str]:
    if part.get("description"):
        yield sentence(part["description"])


def _keys(part: Schema) -> str:
    required = part.get("required", [])
    rows = [(f"`{name}`", kind_of(schema), _default(schema, name in required), _says(name, schema)) for name, schema in _shown(part)]
    return table(("Key", "Type", "Default", "Description"), rows)


def _shown(part: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the keys with their schemas; keys that are passed to Compose unchanged share one row at the end."""
    open_keys = [name for name, schema in part["properties"].items() if not schema]
    yield from ((name, schema) for name, schema in part["properties"].items() if schema)
    if open_keys:
        yield "`, `".join(open_keys), {"description": "Passed to Compose unchanged.", "type": HANDED_OVER}


def _says(name: str, schema: Schema) -> str:
    return sentence(schema.get("description", "")) + (" (Not implemented yet: an error.)" if name in LATER else "")


def _default(schema: Schema, required: bool) -> str:
    if required:
        return "required"
    value = schema.get("default")
    return "" if value in (None, "", {}, []) else code(int(value) if isinstance(value, float) and value.is_integer() else value)


def kind_of(schema: Schema) -> str:
    """Return in words what a key accepts, without mentioning expressions, which every key accepts (the page says so once)."""
    return " or ".join(dict.fromkeys(_kinds(schema)))


def _kinds(schema: Schema) -> Iterator[str]:
    if "anyOf" in schema or "oneOf" in schema:
        for choice in schema.get("anyOf", schema.get("oneOf")):
            yield from _kinds(choice)
    elif "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name != "expression":
            heading = SECTIONS[name]
            yield f"[{heading[0].lower()}{heading[1:]}](#{heading.strip('`').lower().replace(' ', '-')})"
    elif "enum" in schema:
        yield "one of " + ", ".join(code(value) for value in schema["enum"])
    elif "examples" in schema:
        yield f"a duration ({', '.join(code(example) for example in schema['examples'])})"
    else:
        yield from _typed(schema)


def _typed(schema: Schema) -> Iterator[str]:
    if "$comment" in schema:
        yield schema["$comment"]
        return
    given = schema.get("type")
    types = given if isinstance(given, list) else [given]
    if types == ["string", "number", "boolean"]:
        yield "text"
        return
    for name in types:
        if name == "array":
            yield f"list of {_inner(schema, 'items')}"
        elif name == "object":
            yield f"map of names to {_inner(schema, 'additionalProperties')}" if "properties" not in schema else _record(schema)
        elif name is None:
            yield "any value"
        elif name != "null":
            yield {"string": "text", "integer": "number", "boolean": "true or false"}.get(name, str(name))


def _record(schema: Schema) -> str:
    return "map with " + ", ".join(f"`{name}`" for name in schema["properties"])


def _inner(schema: Schema, key: str) -> str:
    inner = schema.get(key)
    return kind_of(inner) or "any value" if isinstance(inner, dict) else "any value" if key != "items" else "values"
