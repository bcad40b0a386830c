"""A definition's file and all that it includes -> one tree. The including file wins; each part knows its own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from envctl.definition.compose_file import Recogniser, Request, read_compose
from envctl.definition.containment import inside
from envctl.definition.expressions import ExpressionError, evaluate
from envctl.definition.source import Document, Source, TreePath, displayed, merge, read
from envctl.errors import Problem


@dataclass
class Gathering:
    """What is the same for every file on the way, and what they bring besides their trees."""

    project: Path
    environ: Mapping[str, str]
    recognise: Recogniser = lambda image: None
    composed: set[str] = field(default_factory=set)
    """Services that a Compose file describes."""
    compose_extra: dict[str, Any] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    def gather(self, file: Path, chain: tuple[Path, ...] = (), start: Document | None = None) -> Document:
        """The document of *file* (or *start*) with its includes and its Compose file below it."""
        document = start or read(file)
        if document.tree is None:
            return document
        problems: list[Problem] = []
        base = Document({}, Source(displayed(file)))
        for path, text in _texts(document.tree.pop("include", None), ("include",), document.source, problems):
            included = self._include(text, path, document.source, (*chain, file.resolve()), problems)
            base = merge(base, included) if included.tree is not None else _with(base, included.problems)
        if (value := document.tree.pop("from", None)) is not None:
            base = self._composed(base, value, document.source, file, problems)
        return _with(_without_removed(merge(base, document), base), problems)

    def _include(self, text: str, path: TreePath, source: Source, chain: tuple[Path, ...], problems: list[Problem]) -> Document:
        nothing = Document(None, source)
        try:
            text = str(evaluate(text, {"env": self.environ}))
        except ExpressionError as error:
            problems.append(source.problem(path, str(error), "only `env` is known in `include`"))
            return nothing
        found = inside(text, chain[-1].parent, self.project, what="file")
        if isinstance(found, str):
            problems.append(source.problem(path, found))
            return nothing
        if found.resolve() in chain:
            names = " -> ".join(file.name for file in (*chain[chain.index(found.resolve()) :], found))
            problems.append(source.problem(path, f"a file includes itself: {names}", "remove one of the includes"))
            return nothing
        return self.gather(found, chain)

    def _composed(self, base: Document, value: Any, source: Source, file: Path, problems: list[Problem]) -> Document:
        composed = read_compose(Request(value, source, file.parent, self.project, self.environ, self.recognise))
        problems += composed.problems
        self.composed |= set(composed.tree.get("services", {}))
        self.compose_extra |= composed.extra
        self.losses += composed.losses
        return merge(base, Document(composed.tree, composed.source))


def _with(document: Document, problems: list[Problem] | tuple[Problem, ...]) -> Document:
    return replace(document, problems=(*document.problems, *problems))


def _without_removed(document: Document, base: Document) -> Document:
    """`service: null` removes what an included file has; an empty one that nobody has stays, to be complained about."""
    services, known = (document.tree or {}).get("services"), (base.tree or {}).get("services")
    if not isinstance(services, dict) or not isinstance(known, dict):
        return document
    kept = {name: service for name, service in services.items() if service is not None or name not in known}
    return replace(document, tree={**(document.tree or {}), "services": kept})


def _texts(value: Any, path: TreePath, source: Source, problems: list[Problem]) -> list[tuple[TreePath, str]]:
    """The texts of `KEY: text` or `KEY: [text, ...]` with their places."""
    if value is None:
        return []
    items = [(path, value)] if not isinstance(value, list) else [((*path, i), item) for i, item in enumerate(value)]
    wrong = [at for at, item in items if not isinstance(item, str)]
    problems += [source.problem(at, "expected the path of a file", "`include: [../common.yaml]`") for at in wrong]
    return [(at, item) for at, item in items if isinstance(item, str)]
