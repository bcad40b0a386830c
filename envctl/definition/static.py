"""Expressions over `var` and `env` alone are evaluated while loading; those with references wait for the plan.

A value that is put into a text which the plan evaluates later is escaped: a password may hold `${`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from envctl.definition.expressions import (
    ExpressionError,
    Reference,
    escape,
    evaluate,
    has_expression,
    references,
)
from envctl.definition.source import Source, TreePath
from envctl.errors import Problem

_IN_SERVICE = ("env", "run", "command", "with")
_IN_READY = ("http", "port", "command", "log", "query")


def takes_references(path: TreePath) -> bool:
    """Whether a text at *path* may refer to services: its value is first known to the plan."""
    if path[:1] == ("outputs",):
        return True
    if path[:1] == ("tests",):
        return len(path) == 2 or path[2:3] == ("run",) or (len(path) == 3 and isinstance(path[2], int))
    if path[:1] != ("services",) or len(path) < 3:
        return False
    if path[2] == "seed":
        return path[4:5] == ("command",)
    if path[2] == "ready":
        return len(path) > 3 and path[3] in _IN_READY
    return path[2] in _IN_SERVICE


def is_command(path: TreePath) -> bool:
    """A command line is split into words before it is evaluated: a value with blanks stays one argument."""
    if path[:1] == ("tests",):
        return takes_references(path)
    return path[2:3] in (("run",), ("command",)) or path[2:4] == ("ready", "command") or (path[2:3] == ("seed",) and takes_references(path))


@dataclass
class Static:
    """One pass over a tree."""

    source: Source
    scope: Mapping[str, Any]
    names: Collection[str]
    broken: Collection[str]
    problems: list[Problem] = field(default_factory=list)
    unknown: set[TreePath] = field(default_factory=set)
    """Where a value could not be made out, so that nothing else is said about it."""

    def tree(self, value: Any, path: TreePath = ()) -> Any:
        if isinstance(value, dict):
            return {key: self.tree(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, (*path, index)) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: TreePath) -> Any:
        try:
            return self._evaluated(text, path, references(text, self.names))
        except ExpressionError as error:
            self.problems.append(self.source.problem(path, str(error)))
        self.unknown.add(path)
        return text

    def _evaluated(self, text: str, path: TreePath, found: list[Reference]) -> Any:
        waits = takes_references(path)
        foreign = [ref for ref in found if ref.root not in ("var", "env")]
        if foreign and not waits:
            raise ExpressionError(_too_early(foreign[0], self.names))
        if foreign or (waits and not has_expression(text)):
            return text
        if any(ref.root == "var" and ref.path[:1] and ref.path[0] in self.broken for ref in found):
            self.unknown.add(path)
            return text
        value = evaluate(text, self.scope)
        if path[2:3] == ("env",) and not isinstance(value, str | int | float):
            return text  # what a list or nothing is in an environment is the plan's to say
        if is_command(path):
            return text
        return _escaped(value) if waits else value


def _too_early(ref: Reference, names: Collection[str]) -> str:
    known = f"`${{{ref.expression}}}` is known only when the environment runs; " if ref.root in names else ""
    return f"{known}only `var` and `env` can be used here, not '{ref.root}'"


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value
