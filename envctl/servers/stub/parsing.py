"""Check the values, the JSON and the regular expressions of mappings. All mistakes of a mapping are reported at once, with their places."""

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
    """A mapping has mistakes.

    Attributes:
        problems: one line for each mistake.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Problems:
    """A collector of mistakes, so that all of them are reported and not only the first.

    Args:
        found: mistakes that are already known.
    """

    def __init__(self, found: Iterable[str] = ()) -> None:
        self._found = list(found)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Record a Refusal that the block raises, with `place` in front of its text, and continue after the block."""
        try:
            yield
        except Refusal as refusal:
            self._found += [f"{place}: {problem}" for problem in refusal.problems]

    def settle(self) -> None:
        """Raise a Refusal with all recorded mistakes, if there are any."""
        if self._found:
            raise Refusal(*self._found)


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Return the message for an unknown name, with the known ones."""
    return f"unknown {what} {name!r}; known: {', '.join(sorted(known))}"


def key_problems(
    spec: Mapping[str, object], known: Collection[str], unsupported: Collection[str], alternatives: Collection[str] = ()
) -> Iterator[str]:
    """Yield a message for each mistake in the keys of an object: an unknown one, or an unsupported one with a value.

    Args:
        known: the supported keys.
        unsupported: keys of WireMock that are not supported; an empty value is accepted.
        alternatives: keys of which only one may be given.
    """
    chosen = [key for key in alternatives if key in spec]
    if len(chosen) > 1:
        yield f"only one of {', '.join(chosen)} is allowed"
    for key, value in spec.items():
        if key in unsupported and value:
            yield f"{key!r} is not supported; supported: {', '.join(sorted(known))}"
        elif key not in known and key not in unsupported:
            yield unknown("key", key, known)


def as_object(value: object) -> dict[str, object]:
    """Return a JSON object unchanged; raise Refusal for another type."""
    if not isinstance(value, dict):
        raise Refusal(f"must be an object, not {kind_of(value)}")
    return value


def as_settings(value: object) -> dict[str, object]:
    """Return a JSON object without the members that are null; {} for null. Raise Refusal for another type."""
    return {name: member for name, member in as_object({} if value is None else value).items() if member is not None}


def as_text(value: object) -> str:
    """Return a string unchanged; raise Refusal for another type."""
    if not isinstance(value, str):
        raise Refusal(f"must be a string, not {kind_of(value)}")
    return value


def as_whole_number(value: object, least: int, most: int) -> int:
    """Return a whole number from *least* to *most* unchanged; raise Refusal for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(f"must be a whole number from {least} to {most}, not {value!r}")
    return value


def as_flag(value: object) -> bool:
    """Return a boolean unchanged; raise Refusal for another type."""
    if not isinstance(value, bool):
        raise Refusal(f"must be true or false, not {value!r}")
    return value


def kind_of(value: object) -> str:
    """Return the name of a value's type in JSON, with its article."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def parse_json(text: str) -> Any:
    """Parse a JSON text. Fractions become Decimal, so that 0.1 differs from 0.10000000000000001.

    Raises:
        ValueError: the text is not valid JSON, or it is nested too deeply.
    """
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(value: object) -> str:
    """Return a parsed value as compact JSON text."""
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=float)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# The cache is needed because placeholders are compiled for each comparison, and `catch_warnings` is not safe in several threads at once.
@lru_cache(maxsize=1024)
def compile_regex(pattern: str, flags: int = 0) -> Expression:
    """Compile a Java regular expression for `fullmatch`.

    Args:
        flags: the flags of Python's `re`.

    Raises:
        Refusal: the expression is invalid, or Python does not support it or interprets it differently.
    """
    translated = re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern)
    translated = re.sub(r"\\k<(\w+)>", r"(?P=\1)", translated)
    try:
        with warnings.catch_warnings():
            # Python warns about nested sets and `&&` in sets: it reads them literally, but in Java they are operators.
            warnings.simplefilter("error", FutureWarning)
            # In WireMock, the dot also matches newlines; in Java, \d, \w and \s match only ASCII.
            return Expression(re.compile(translated, flags | re.DOTALL | re.ASCII))
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise Refusal(f"regular expression {pattern!r}: {error}") from None
