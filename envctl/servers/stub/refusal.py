"""How a definition is refused: every problem of it in one go, each with the place where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """Something in a definition is wrong; `problems` says what, one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Problems:
    """Collects refusals, so that the reader gets all of them and not just the first."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Note a refusal inside the block under `place`, and go on after the block."""
        try:
            yield
        except Refusal as refusal:
            self.found += [f"{place}: {problem}" for problem in refusal.problems]

    def note(self, problem: str) -> None:
        """Note a problem without a place."""
        self.found.append(problem)

    def settle(self) -> None:
        """Raise what was found, if anything was."""
        if self.found:
            raise Refusal(*self.found)


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a name that is not known."""
    return f"unknown {what} {name!r}; known: {', '.join(sorted(known))}"


def as_object(value: object) -> dict[str, object]:
    """`value` as a JSON object."""
    if not isinstance(value, dict):
        raise Refusal(f"must be an object, not {kind_of(value)}")
    return value


def as_settings(value: object) -> dict[str, object]:
    """`value` as a JSON object whose members may be left out, for which null is another way."""
    return {name: member for name, member in as_object({} if value is None else value).items() if member is not None}


def as_text(value: object) -> str:
    """`value` as a string."""
    if not isinstance(value, str):
        raise Refusal(f"must be a string, not {kind_of(value)}")
    return value


def as_whole_number(value: object, least: int, most: int) -> int:
    """`value` as a whole number between two bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(f"must be a whole number from {least} to {most}, not {value!r}")
    return value


def as_flag(value: object) -> bool:
    """`value` as true or false."""
    if not isinstance(value, bool):
        raise Refusal(f"must be true or false, not {value!r}")
    return value


def kind_of(value: object) -> str:
    """What JSON calls the type of `value`."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")
