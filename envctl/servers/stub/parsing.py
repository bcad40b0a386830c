"""Reading definitions: their values, JSON and regular expressions. Every problem of one is told in one go, each with its place."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .expressions import Expression


class Refusal(Exception):
    """Something in a definition is wrong; `problems` says what, one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Problems:
    """Collects refusals, so that the reader gets all of them and not just the first."""

    def __init__(self, found: Iterable[str] = ()) -> None:
        self._found = list(found)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Note a refusal inside the block under `place`, and go on after the block."""
        try:
            yield
        except Refusal as refusal:
            self._found += [f"{place}: {problem}" for problem in refusal.problems]

    def settle(self) -> None:
        """Raise what was found, if anything was."""
        if self._found:
            raise Refusal(*self._found)


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    return f"unknown {what} {name!r}; known: {', '.join(sorted(known))}"


def key_problems(
    spec: Mapping[str, object], known: Collection[str], unsupported: Collection[str], alternatives: Collection[str] = ()
) -> Iterator[str]:
    """What is wrong with the keys of an object: of `alternatives` one can hold, and `unsupported` ones must be empty."""
    chosen = [key for key in alternatives if key in spec]
    if len(chosen) > 1:
        yield f"only one of {', '.join(chosen)} can hold"
    for key, value in spec.items():
        if key in unsupported and value:
            yield f"{key!r} is not supported; supported: {', '.join(sorted(known))}"
        elif key not in known and key not in unsupported:
            yield unknown("key", key, known)


def as_object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Refusal(f"must be an object, not {kind_of(value)}")
    return value


def as_settings(value: object) -> dict[str, object]:
    """`value` as a JSON object whose members may be left out, for which null is another way."""
    return {name: member for name, member in as_object({} if value is None else value).items() if member is not None}


def as_text(value: object) -> str:
    if not isinstance(value, str):
        raise Refusal(f"must be a string, not {kind_of(value)}")
    return value


def as_whole_number(value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(f"must be a whole number from {least} to {most}, not {value!r}")
    return value


def as_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refusal(f"must be true or false, not {value!r}")
    return value


def kind_of(value: object) -> str:
    """What JSON calls the type of `value`."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def parse_json(text: str) -> Any:
    """The value of a JSON text, or ValueError. Fractions stay exact: 0.1 is not 0.10000000000000001."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(value: object) -> str:
    """A parsed value as compact JSON text again."""
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=float)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# Placeholders are compiled when a body is compared, and the warnings below are no matter for many threads at once.
@lru_cache(maxsize=1024)
def compile_regex(pattern: str, flags: int = 0) -> Expression:
    """A regular expression of Java for `fullmatch`; what Python would read differently or not at all is refused."""
    translated = re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern)
    translated = re.sub(r"\\k<(\w+)>", r"(?P=\1)", translated)
    try:
        with warnings.catch_warnings():
            # Python warns of nested sets and of `&&`, which it takes literally and Java does not.
            warnings.simplefilter("error", FutureWarning)
            # In Java a dot of WireMock's matches newlines, and \d, \w and \s are ASCII.
            return Expression(re.compile(translated, flags | re.DOTALL | re.ASCII))
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise Refusal(f"regular expression {pattern!r}: {error}") from None
