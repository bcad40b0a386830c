"""The part of JSONPath that mappings use, with the semantics of the library Jayway, which WireMock uses.

Supported are `$.a['b'][0][-1]`, `.*` and `[*]`, `..a`, `.length()` at the end, and filters: `[?(@.x == 'y' && @.n > 3)]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from .expressions import Expression
from .parsing import Refusal, compile_regex, parse_json

Step = Callable[[Any], Iterable[Any]]
Condition = Callable[[Any], bool]
Operand = Callable[[Any], Any]

MISSING = object()
"""The result of a path that finds nothing."""

_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_NAME = r"[\w-]+"
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_COMPARISON = r"==|!=|<=|>=|<|>|=~"
_REGEX_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


class JsonPath(NamedTuple):
    """A compiled path.

    Attributes:
        is_definite: whether the path can find at most one value.
    """

    steps: tuple[Step, ...]
    is_definite: bool

    def find(self, document: Any) -> list[Any]:
        """Return the values that the path finds in a JSON value."""
        found = [document]
        for step in self.steps:
            found = [value for node in found for value in step(node)]
        return found


def compile_path(text: str) -> JsonPath:
    """Compile a path. A leading `$` may be omitted.

    Raises:
        Refusal: *text* is not a supported path.
    """
    text = text.strip()
    scanner = _Scanner(text if text.startswith("$") else f"$.{text}")
    scanner.take(r"\$")
    path = _path(scanner)
    scanner.expect(r"\Z", "a step of a path")
    return path


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def take(self, pattern: str) -> str | None:
        """Return what `pattern` matches at the current position, and move behind it; None if it does not match."""
        found = re.compile(pattern).match(self._text, self._position)
        if not found:
            return None
        self._position = found.end()
        return found[0]

    def expect(self, pattern: str, what: str) -> str:
        """Return what `pattern` matches at the current position, and move behind it.

        Raises:
            Refusal: `pattern` does not match; `what` describes what is expected.
        """
        found = self.take(pattern)
        if found is None:
            raise Refusal(f"JSONPath {self._text!r}: {what} is expected at position {self._position}")
        return found


def _path(scanner: _Scanner) -> JsonPath:
    steps: list[Step] = []
    is_definite = True
    while (mark := scanner.take(r"\.\.|\.|(?=\[)")) is not None:
        step, leads_to_one = _step(scanner, mark)
        steps += [_descend, step] if mark == ".." else [step]
        is_definite = is_definite and leads_to_one and mark != ".."
    return JsonPath(tuple(steps), is_definite)


def _step(scanner: _Scanner, mark: str) -> tuple[Step, bool]:
    if scanner.take(r"\["):
        return _bracket(scanner)
    if scanner.take(r"\*"):
        return _every, False
    if scanner.take(r"length\(\)|size\(\)"):
        return _length, True
    return _member(scanner.expect(_NAME, "a name")), True


def _bracket(scanner: _Scanner) -> tuple[Step, bool]:
    if scanner.take(r"\s*\*\s*\]"):
        return _every, False
    if scanner.take(r"\s*\?\s*\("):
        condition = _alternatives(scanner)
        scanner.expect(r"\s*\)\s*\]", "`)]`")
        return _filter(condition), False
    scanner.take(r"\s*")
    quoted = scanner.take(_QUOTED)
    step = _member(_unescaped(quoted)) if quoted else _element(int(scanner.expect(r"-?\d{1,9}", "a name or index")))
    scanner.expect(r"\s*\]", "`]` (one name or index, no slices or lists)")
    return step, True


def _alternatives(scanner: _Scanner) -> Condition:
    parts = [_conjunction(scanner)]
    while scanner.take(r"\s*\|\|"):
        parts.append(_conjunction(scanner))
    return lambda node: any(part(node) for part in parts)


def _conjunction(scanner: _Scanner) -> Condition:
    parts = [_condition(scanner)]
    while scanner.take(r"\s*&&"):
        parts.append(_condition(scanner))
    return lambda node: all(part(node) for part in parts)


def _condition(scanner: _Scanner) -> Condition:
    if scanner.take(r"\s*!"):
        negated = _condition(scanner)
        return lambda node: not negated(node)
    if scanner.take(r"\s*\("):
        inner = _alternatives(scanner)
        scanner.expect(r"\s*\)", "`)`")
        return inner
    return _comparison(scanner)


def _comparison(scanner: _Scanner) -> Condition:
    left = _operand(scanner)
    scanner.take(r"\s*")
    operator = scanner.take(_COMPARISON)
    if operator is None:
        return lambda node: left(node) is not MISSING
    if operator == "=~":
        pattern = _regex_literal(scanner)
        return lambda node: isinstance(left(node), str) and pattern.fullmatch(left(node)) is not None
    right = _operand(scanner)
    compare = _COMPARE[operator]
    return lambda node: compare(left(node), right(node))


def _operand(scanner: _Scanner) -> Operand:
    scanner.take(r"\s*")
    if scanner.take("@"):
        path = _path(scanner)
        if path.is_definite:
            return lambda node: next(iter(path.find(node)), MISSING)
        return lambda node: path.find(node) or MISSING
    literal = _literal(scanner)
    return lambda node: literal


def _literal(scanner: _Scanner) -> Any:
    quoted = scanner.take(_QUOTED)
    if quoted:
        return _unescaped(quoted)
    return parse_json(scanner.expect(rf"(?:{_NUMBER}|true|false|null)(?![\w.])", "`@`, a string, a number or a literal"))


def _regex_literal(scanner: _Scanner) -> Expression:
    scanner.take(r"\s*")
    pattern = scanner.expect(r"/(?:[^/\\]|\\.)*/", "`/a regular expression/`")[1:-1]
    flags = 0
    for letter in scanner.take("[imsx]*") or "":
        flags |= _REGEX_FLAGS[letter]
    return compile_regex(pattern.replace("\\/", "/"), flags)


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])


def _member(name: str) -> Step:
    return lambda node: (node[name],) if isinstance(node, dict) and name in node else ()


def _element(index: int) -> Step:
    return lambda node: (node[index],) if isinstance(node, list) and -len(node) <= index < len(node) else ()


def _every(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _length(node: Any) -> Iterable[Any]:
    return (len(node),) if isinstance(node, (list, dict, str)) else ()


def _filter(condition: Condition) -> Step:
    def matching(node: Any) -> Iterator[Any]:
        # Jayway applies the filter `$[?(@.x)]` to an object itself, not to its members.
        candidates = node if isinstance(node, list) else [node] if isinstance(node, dict) else []
        return filter(condition, candidates)

    return matching


def _descend(node: Any) -> Iterator[Any]:
    # Without recursion, as a document may be nested more deeply than Python's recursion limit.
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += [child for child in _every(current) if isinstance(child, (dict, list))]


def _equal(left: Any, right: Any) -> bool:
    if left is MISSING or right is MISSING:
        return False
    if (_is_number(left) and isinstance(right, str)) or (isinstance(left, str) and _is_number(right)):
        left, right = _number(left), _number(right)
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _ordered(left: Any, right: Any) -> bool:
    return (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    # In Jayway, the text '1' equals the number 1, but the two have no order.
    if not isinstance(value, str):
        return value
    return Decimal(value) if re.fullmatch(_NUMBER, value) else None


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": lambda left, right: _ordered(left, right) and left < right,
    "<=": lambda left, right: _ordered(left, right) and left <= right,
    ">": lambda left, right: _ordered(left, right) and left > right,
    ">=": lambda left, right: _ordered(left, right) and left >= right,
}
