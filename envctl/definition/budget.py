"""A limit on what all expressions of one definition may cost together, in characters made and in steps taken.

A scope contains its budget under `KEY`, a name that no expression can use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MappingView
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envctl.definition.expression_error import ExpressionError

if TYPE_CHECKING:
    from jinja2.runtime import Context

MAX_CHARACTERS = 10_000_000
"""The most characters of all values. Each item of a list or map counts as one more character."""
MAX_STEPS = 3_000_000
"""The most steps. A step takes about a microsecond: an operation, a loop iteration, or the inspection of four items."""
KEY = "budget of a definition"
_STEPS_TO_COMPILE, _STEPS_A_CHARACTER = 500, 10
_ITEMS_A_STEP = 4
_CHARACTERS_A_STEP = 1000
_USUAL = frozenset([str, int, float, bool, type(None), list, tuple, dict])


class OutOfBudget(ExpressionError):
    """The error for an exhausted budget. Every later evaluation fails as well."""


@dataclass(eq=False)
class Budget:
    """The characters and steps that have been spent so far.

    Every method raises OutOfBudget if all evaluations together exceed a limit.
    """

    characters: int = 0
    steps: int = 0
    _compiled: set[str] = field(default_factory=set)

    def step(self, count: int = 1) -> None:
        """Add *count* to the steps."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise OutOfBudget(f"the expressions of this definition take more than {MAX_STEPS:,} steps together; simplify them")

    def afford(self, size: int) -> None:
        """Check that the budget allows *size* more characters.

        Raises:
            ExpressionError: *size* alone exceeds the limit.
        """
        if size > MAX_CHARACTERS:
            raise ExpressionError(f"the result is too large: it has more than {MAX_CHARACTERS:,} characters")
        if self.characters + size > MAX_CHARACTERS:
            raise OutOfBudget(f"the values of this definition have more than {MAX_CHARACTERS:,} characters together; make them smaller")

    def make(self, value: Any, *, strict: bool = False) -> None:
        """Count the characters of *value*, which has just been made; *strict* as for `weigh`.

        Raises:
            ExpressionError: *value* alone exceeds the limit, or is not a value.
        """
        size = self.weigh(value, strict=strict)
        self.afford(size)
        self.characters += size

    def compile(self, source: str) -> None:
        """Count the compilation of the expression *source*. A second compilation costs nothing."""
        if source not in self._compiled:
            self._compiled.add(source)
            self.step(_STEPS_TO_COMPILE + _STEPS_A_CHARACTER * len(source))

    def weigh(self, value: Any, *, strict: bool = True) -> int:
        """Return the characters and items of *value* as it would be written. A part that occurs twice counts twice.

        The count ends as soon as it exceeds the rest of the budget.

        Raises:
            ExpressionError: *strict* is true, and *value* contains something that cannot be part of a value.
        """
        if type(value) is str:  # a fast path, because nearly all values are texts
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
        """Return *value*; an iterator or a view as a list, so that its size is known."""
        if type(value) in _USUAL or not isinstance(value, Iterator | MappingView):
            return value
        items: Any = value
        return list(self._counted(items))

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.step()
            yield item


def _own(item: Any, strict: bool) -> int:
    """Return the size of *item* without the items in it."""
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

    # An undefined value raises an error of its own when it is used.
    return item is None or isinstance(item, str | int | float | list | tuple | range | Mapping | Undefined)


def no_value(item: Any) -> str:
    """Return why *item* cannot be part of a value."""
    if isinstance(item, Iterator | MappingView):
        return "this is a generator, not a value; add `| list`"
    if isinstance(item, bytes):
        return "bytes are not a value; `.decode()` turns them into text"
    return "this is a function; call it with `()`" if callable(item) else f"a {type(item).__name__} is not a value"


def of(scope: Mapping[str, Any] | Context) -> Budget:
    """Return the budget of *scope*; a new one if it has none."""
    found = scope.get(KEY)
    return found if isinstance(found, Budget) else Budget()
