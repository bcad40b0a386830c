"""The reading of a definition for a plan: the state that all services share, and the list of problems."""

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
"""The longest command in characters; Linux limits an argument to 131,072 bytes."""


class Once:
    """A cache for files of the project, so that a plan that is made again with known ports does not read them again."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return the result of *read*, which is called only once for each *key*."""
        if key not in self._found:
            self._found[key] = read()
        found: T = self._found[key]
        return found


@dataclass(frozen=True)
class Reading:
    """A definition, its setting, and the resolver of its references."""

    loaded: Loaded
    setting: Setting
    resolver: Resolver
    once: Once = field(default_factory=Once)
    problems: list[Problem] = field(default_factory=list)

    @property
    def addressing(self) -> Addressing:
        """The addresses of the services."""
        return self.resolver.addressing

    @contextmanager
    def located(self, *path: str | int) -> Iterator[None]:
        """Turn errors that occur inside the block into problems of the definition, each with the place of its text under *path*."""
        try:
            yield
        except ExpressionError as error:
            self.wrong_expression(error, path)
        except FileRefused as error:
            self.wrong(path, str(error))
        except OSError as error:
            self.wrong(path, f"'{error.filename}' cannot be read: {error.strerror}")

    def argv(self, command: Command | None, scope: Mapping[str, Any], *path: str | int) -> tuple[str, ...]:
        """Return the arguments of *command*; none if it contains a mistake."""
        words: list[str] = []
        with self.located(*path):
            words = argv(command, scope)
        return tuple(words)

    def check(self) -> None:
        """Raise DefinitionError if there are problems. Their texts do not contain the values of secret variables."""
        if self.problems:
            mask = Mask(self.loaded.secrets - self.loaded.names(self.setting.name))
            # The copies of a service in other lanes have the same problems.
            raise DefinitionError(list(dict.fromkeys(problem.masked(mask) for problem in self.problems))) from None

    def wrong(self, path: TreePath, message: str, hint: str = "") -> None:
        """Add the problem at *path* of the definition."""
        self.problems.append(self.loaded.source.problem(path, message, hint))

    def wrong_expression(self, error: ExpressionError, path: TreePath) -> None:
        """Add *error* as a problem of the text at *path*. Raise DefinitionError at once if the budget is spent: nothing more is checked."""
        self.wrong((*path, *error.path), str(error))
        if isinstance(error, OutOfBudget):
            raise DefinitionError(self.problems) from None

    def tree(self, value: Any, scope: Mapping[str, Any], *path: str | int) -> Any:
        """Return *value* with its expressions evaluated. After a mistake, add a problem and return an empty value of the same type."""
        try:
            return plain(evaluate_tree(value, scope))
        except ExpressionError as error:
            self.wrong_expression(error, path)
            return type(value)() if isinstance(value, dict | list | str) else value


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def refers(service: Service, names: Collection[str]) -> list[Reference]:
    """Return the references of *service* to one of *names*, in order, from the texts that are evaluated."""
    readable = [service.env, service.run, service.command, service.with_, service.ready.model_dump() if service.ready else None]
    return referred(readable, names)


def referred(tree: Any, names: Collection[str]) -> list[Reference]:
    """Return the references to one of *names* in the texts of *tree*, in order."""
    return [ref for text in texts(tree) for ref in references(text, names) if ref.root in names]


def as_text(value: Any) -> str:
    """Return a value as an environment variable contains it: `true`, numbers as they are written, lists and maps as JSON."""
    return written(plain(value))


def plain(value: Any) -> Any:
    """Return *value* with plain maps and lists in place of their subclasses.

    Raises:
        ExpressionError: *value* contains a whole service.
    """
    if isinstance(value, View):
        return str(value)  # raises: a service is not a value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def argv(command: Command | None, scope: Mapping[str, Any]) -> list[str]:
    """Return the arguments of *command*; none if there is no command.

    Raises:
        ExpressionError: a reference cannot be resolved, or the quoting is broken.
    """
    if command is None:
        return []
    words = split(command) if isinstance(command, str) else command
    return [_word(evaluate(word, scope)) for word in words]


def split(command: str) -> list[str]:
    """Return the words of *command*. Blanks and quotes inside `${...}` do not separate words.

    Raises:
        ExpressionError: the quoting is broken, or the command is too long.
    """
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
