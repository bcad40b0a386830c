"""Start reading a Compose file with Docker Compose before the modules of the command are imported, to save time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from envctl.errors import UsageError

if TYPE_CHECKING:
    from envctl.session import Session

OPENS = ("up", "run", "test", "render", "validate")
"""The commands whose first argument is an environment."""


@contextmanager
def begun_ahead(session: Session, words: Sequence[str]) -> Iterator[None]:
    """Start `docker compose config` in the background if *words* begin like `up compose.yaml`.

    An untrusted file is not read in advance, because it must be checked first. At the end of the context, unused processes are stopped.
    """
    try:
        if len(words) > 1 and words[0] in OPENS and not words[1].startswith("-") and not _is_untrusted(session, words):
            _begin_reading(session, words[1])
        yield
    finally:
        session.answers.end()


def _begin_reading(session: Session, env: str) -> None:
    from envctl.definition.compose_config import begin_reading
    from envctl.definition.find import find_environment, is_compose_file

    with suppress(UsageError, OSError):
        found = find_environment(env, session.cwd)
        if is_compose_file(found.file):
            begin_reading(session.answers, found.file, found.project, session.environ)


def _is_untrusted(session: Session, words: Sequence[str]) -> bool:
    return "--untrusted" in words or bool(session.environ.get("ENVCTL_UNTRUSTED"))
