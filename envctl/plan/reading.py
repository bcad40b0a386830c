"""Reading a definition for a plan: what is the same for every service, and where its mistakes are gathered."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from envctl.definition.budget import OutOfBudget
from envctl.definition.expressions import ExpressionError, Reference, evaluate, evaluate_tree, references, spans
from envctl.definition.expressions import as_text as written
from envctl.definition.load import Loaded
from envctl.definition.models import Command, Service
from envctl.definition.source import TreePath
from envctl.errors import DefinitionError, Problem
from envctl.files.folders import FileRefused
from envctl.plan.addressing import Addressing
from envctl.plan.model import Setting
from envctl.plan.views import Resolver, View
from envctl.session.mask import Mask

T = TypeVar("T")
MAX_COMMAND = 100_000
"""Characters; Linux takes no longer argument than 131,072 bytes."""


class Once:
    """What has been read of the project's files: a plan that is made again with its ports known finds it here."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, read: Callable[[], T]) -> T:
        """What *read* gives, or gave when *key* was asked for before."""
        if key not in self._found:
            self._found[key] = read()
        found: T = self._found[key]
        return found


@dataclass(frozen=True)
class Reading:
    """A definition, its setting, and what its references give."""

    loaded: Loaded
    setting: Setting
    resolver: Resolver
    once: Once = field(default_factory=Once)
    problems: list[Problem] = field(default_factory=list)

    @property
    def addressing(self) -> Addressing:
        return self.resolver.addressing

    @contextmanager
    def located(self, *path: str | int) -> Iterator[None]:
        """Mistakes in expressions under *path* become problems of the definition, each where its text stands."""
        try:
            yield
        except ExpressionError as error:
            self.wrong_expression(error, path)
        except FileRefused as error:
            self.wrong(path, str(error))
        except OSError as error:
            self.wrong(path, f"'{error.filename}' cannot be read: {error.strerror}")

    def argv(self, command: Command | None, scope: Mapping[str, Any], *path: str | int) -> tuple[str, ...]:
        """The arguments of *command*, none where there is a mistake in it."""
        words: list[str] = []
        with self.located(*path):
            words = argv(command, scope)
        return tuple(words)

    def check(self) -> None:
        """
        Raises:
            DefinitionError: something was wrong; without the values of secret variables.
        """
        if self.problems:
            mask = Mask(self.loaded.secrets - self.loaded.names(self.setting.name))
            # A lane's own service has the mistakes of the one that it is a copy of.
            raise DefinitionError(list(dict.fromkeys(problem.masked(mask) for problem in self.problems))) from None

    def wrong(self, path: TreePath, message: str, hint: str = "") -> None:
        """Notes what is wrong at *path* of the definition."""
        self.problems.append(self.loaded.source.problem(path, message, hint))

    def wrong_expression(self, error: ExpressionError, path: TreePath) -> None:
        """Notes *error* of what stands at *path*; with the budget spent, nothing behind it can be told."""
        self.wrong((*path, *error.path), str(error))
        if isinstance(error, OutOfBudget):
            raise DefinitionError(self.problems) from None

    def tree(self, value: Any, scope: Mapping[str, Any], *path: str | int) -> Any:
        try:
            return plain(evaluate_tree(value, scope))
        except ExpressionError as error:
            self.wrong_expression(error, path)
            return type(value)() if isinstance(value, dict | list | str) else value


def texts(value: Any) -> Iterator[str]:
    """Every text in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def refers(service: Service, names: Collection[str]) -> list[Reference]:
    """The references to one of *names* in what is evaluated for *service*, in order."""
    readable = [service.env, service.run, service.command, service.with_, service.ready.model_dump() if service.ready else None]
    return referred(readable, names)


def referred(tree: Any, names: Collection[str]) -> list[Reference]:
    """The references to one of *names* in the texts of *tree*, in order."""
    return [ref for text in texts(tree) for ref in references(text, names) if ref.root in names]


def as_text(value: Any) -> str:
    """A value as it stands in an environment: `true`, numbers as they are, lists and maps as JSON."""
    return written(plain(value))


def plain(value: Any) -> Any:
    """Views as what they are called, maps and lists as plain ones."""
    if isinstance(value, View):
        return str(value)  # raises: a service is no value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


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
    if len(command) > MAX_COMMAND:
        raise ExpressionError(f"a command of more than {MAX_COMMAND:,} characters; a list, or a script in a file, may be longer")
    kept: list[str] = []
    parts, last = [], 0
    for start, end in spans(command):
        parts += [command[last:start], f"\ue000{len(kept)}\ue001"]
        kept.append(command[start:end])
        last = end
    try:
        words = shlex.split("".join([*parts, command[last:]]))
    except ValueError as error:
        raise ExpressionError(f"{error}; in {command!r}") from None
    return [_restored(word, kept) for word in words]


def _restored(word: str, kept: list[str]) -> str:
    return re.sub("\ue000([0-9]+)\ue001", lambda mark: kept[int(mark[1])], word)


def _word(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
