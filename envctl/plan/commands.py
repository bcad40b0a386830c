"""Argument lists: text is split as a shell would, but an expression's value always stays one argument."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from envctl.definition.expressions import ExpressionError, evaluate, spans
from envctl.definition.models import Command


def argv(command: Command | None, scope: Mapping[str, Any]) -> list[str]:
    """The arguments of *command*; none where there is no command.

    Raises:
        ExpressionError: a reference cannot be resolved, or the quoting is broken.
    """
    if command is None:
        return []
    words = split(command) if isinstance(command, str) else command
    return [_word(evaluate(word, scope)) for word in words]


def split(command: str) -> list[str]:
    """The words of *command*; blanks and quotes inside `${...}` do not count."""
    kept: list[str] = []
    text, last = "", 0
    for start, end in spans(command):
        text += command[last:start] + f"\ue000{len(kept)}\ue001"
        kept.append(command[start:end])
        last = end
    try:
        words = shlex.split(text + command[last:])
    except ValueError as error:
        raise ExpressionError(f"{error}; in {command!r}") from None
    return [_restored(word, kept) for word in words]


def _restored(word: str, kept: list[str]) -> str:
    for index, text in enumerate(kept):
        word = word.replace(f"\ue000{index}\ue001", text)
    return word


def _word(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
