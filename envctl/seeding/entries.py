"""Check the entries of `messages` and `http` steps, each with its place."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import ValidationError

from envctl.definition.seed_entries import Bodied
from envctl.seeding import BadFile
from envctl.seeding.item_files import Item

B = TypeVar("B", bound=Bodied)


def checked(found: Iterable[Item], model: type[B]) -> Iterator[tuple[str, B]]:
    """Yield the place (file:line) and the entry of each item.

    Raises:
        BadFile: An item does not match *model*.
    """
    for where, key, value in found:
        if key is not None:
            raise BadFile("a list of entries is expected, but this is a map", place=where)
        try:
            yield where, model.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            at = ".".join(map(str, first["loc"]))
            words = {"extra_forbidden": f"unknown key; known: {', '.join(keys(model))}"}.get(first["type"], first["msg"]).removeprefix(
                "Value error, "
            )
            raise BadFile(f"{at}: {words}" if at else words, place=where) from None


def keys(model: type[Bodied]) -> list[str]:
    """Return the names of the keys that an entry may have."""
    return [field.alias or name for name, field in model.model_fields.items()]


def body(entry: Bodied, where: str) -> bytes | None:
    """Return the body of an entry as bytes, or None if it has no body.

    Raises:
        BadFile: The body cannot be encoded, or its base64 is invalid.
    """
    try:
        if entry.body is not None:
            return entry.body.encode()
        if entry.base64 is not None:
            return base64.b64decode(entry.base64, validate=True)
        return json.dumps(entry.json_, ensure_ascii=False).encode() if is_json(entry) else None
    except ValueError as error:
        raise BadFile(f"its body: {error}", place=where) from None


def is_json(entry: Bodied) -> bool:
    """Return whether the entry's body is written as JSON."""
    return "json_" in entry.model_fields_set
