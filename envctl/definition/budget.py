"""What the expressions of one opened definition may cost together: characters made, and steps taken.

A scope carries its budget along under `KEY`, which no expression can name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MappingView
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envctl.definition.expression_error import ExpressionError

if TYPE_CHECKING:
    from jinja2.runtime import Context

MAX_CHARACTERS = 10_000_000
"""A list or map has one for each of its items, too."""
MAX_STEPS = 3_000_000
"""One is about a microsecond: an operation, a turn of a loop, four items looked at."""
KEY = "budget of a definition"
_STEPS_TO_COMPILE, _STEPS_A_CHARACTER = 500, 10
_ITEMS_A_STEP = 4
_CHARACTERS_A_STEP = 1000
_USUAL = frozenset([str, int, float, bool, type(None), list, tuple, dict])


class OutOfBudget(ExpressionError):
    """Nothing more can be evaluated: everything after this fails as well."""


@dataclass(eq=False)
class Budget:
    """What has been spent so far.

    Every method raises OutOfBudget when a limit is reached by all that was evaluated together.
    """

    characters: int = 0
    steps: int = 0
    _compiled: set[str] = field(default_factory=set)

    def step(self, count: int = 1) -> None:
        self.steps += count
        if self.steps > MAX_STEPS:
            raise OutOfBudget(f"the expressions of this definition take more than {MAX_STEPS:,} steps together; simplify them")

    def afford(self, size: int) -> None:
        """Whether *size* characters more can be made; ExpressionError where they never could."""
        if size > MAX_CHARACTERS:
            raise ExpressionError(f"the result is too large: it has more than {MAX_CHARACTERS:,} characters")
        if self.characters + size > MAX_CHARACTERS:
            raise OutOfBudget(f"the values of this definition have more than {MAX_CHARACTERS:,} characters together; make them smaller")

    def make(self, value: Any, *, strict: bool = False) -> None:
        """Counts *value*, which has just been made."""
        size = self.weigh(value, strict=strict)
        self.afford(size)
        self.characters += size

    def compile(self, source: str) -> None:
        """Counts that the expression *source* is read; a second time costs nothing."""
        if source not in self._compiled:
            self._compiled.add(source)
            self.step(_STEPS_TO_COMPILE + _STEPS_A_CHARACTER * len(source))

    def weigh(self, value: Any, *, strict: bool = True) -> int:
        """Characters and items of *value* as it would be written, what it holds twice twice; what is left at most, and one.

        Raises:
            ExpressionError: *strict*, and something in it can be no part of a value.
        """
        if type(value) is str:  # nearly all are
            self.step(1 + len(value) // _CHARACTERS_A_STEP)
            return len(value) + 1
        size, count, waiting = 0, 0, [value]
        while waiting and self.characters + size <= MAX_CHARACTERS:
            item = waiting.pop()
            count += 1
            size += _own(item, strict)
            if isinstance(item, dict):
                waiting += item
                waiting += item.values()
            elif isinstance(item, list | tuple):
                waiting += item
        self.step(1 + count // _ITEMS_A_STEP + size // _CHARACTERS_A_STEP)
        return size

    def listed(self, value: Any) -> Any:
        """*value*, but what gives its items one by one as a list: its size can be told."""
        if type(value) in _USUAL or not isinstance(value, Iterator | MappingView):
            return value
        items: Any = value
        return list(self._counted(items))

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.step()
            yield item


def _own(item: Any, strict: bool) -> int:
    """What *item* counts without what it holds."""
    if isinstance(item, str | bytes | range):
        size = len(item) + 1
    elif isinstance(item, int):
        size = 1 + item.bit_length() // 3
    else:
        size = 1
    if strict and type(item) not in _USUAL and not _is_value(item):
        raise ExpressionError(no_value(item))
    return size


def _is_value(item: Any) -> bool:
    from jinja2 import Undefined

    # An undefined one has words of its own for whoever uses it.
    return item is None or isinstance(item, str | int | float | list | tuple | range | Mapping | Undefined)


def no_value(item: Any) -> str:
    """Why *item* can be no part of a value."""
    if isinstance(item, Iterator | MappingView):
        return "this is a generator, not a value; add `| list`"
    if isinstance(item, bytes):
        return "bytes are not a value; `.decode()` turns them into text"
    return "this is a function; call it with `()`" if callable(item) else f"a {type(item).__name__} is not a value"


def of(scope: Mapping[str, Any] | Context) -> Budget:
    """The budget of *scope*; one of its own where it has none."""
    found = scope.get(KEY)
    return found if isinstance(found, Budget) else Budget()
