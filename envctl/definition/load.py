"""Loading of a definition file: includes are merged, variables resolved, shape and names checked, and all mistakes listed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from envctl.definition import budget
from envctl.definition.budget import Budget
from envctl.definition.checks import Checks
from envctl.definition.compose_file import ComposeReference, read_compose
from envctl.definition.compose_services import Recogniser
from envctl.definition.expressions import ExpressionError, evaluate
from envctl.definition.find import find_project, is_compose_file
from envctl.definition.models import Definition
from envctl.definition.source import Document, Source, TreePath, displayed, dotted, inside, locate, merge, parse, read, service_names, walk
from envctl.definition.validate import evaluated_keys, known_keys, unknown_key, validate
from envctl.definition.variables import EarlyEvaluation, is_unknown, resolve_variables
from envctl.definition.yaml_parser import Node
from envctl.errors import DefinitionError, Problem
from envctl.process.answers import Answers
from envctl.session.mask import Mask

MAX_ITEMS = 2000
"""The most items in one map, such as services. There is a limit because each item may refer to all others."""


class Text(NamedTuple):
    """A text in a definition file, and its place."""

    source: Source
    path: TreePath
    text: str


@dataclass(frozen=True)
class Loaded:
    """The content of a definition file.

    `definition` is the valid part of the definition; None if the file cannot be read at all. It is complete if `problems` is
    empty. `secrets` are the values of secret variables, which are masked in messages.
    """

    definition: Definition | None
    tree: dict[str, Any]
    file: Path
    folder: Path
    project: Path
    source: Source
    variables: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    """The texts of the variables that `--set` or the environment sets, by name."""
    secrets: frozenset[str] = frozenset()
    clear: frozenset[str] = frozenset()
    """The values that the file itself contains."""
    problems: list[Problem] = field(default_factory=list)
    compose_extra: dict[str, Any] = field(default_factory=dict)
    compose_variables: dict[str, str] = field(default_factory=dict, repr=False)
    """The variables that are secrets and configs of a Compose file, with their values."""
    compose_unresolved: frozenset[str] = frozenset()
    """Variables of a `.env` beside a Compose file whose values contain a reference that is not understood."""
    losses: list[str] = field(default_factory=list)
    written: Mapping[Path, list[Text]] = field(default_factory=dict)
    """The texts of each file as they are written, before any evaluation."""
    composed: Mapping[Path, Node | None] = field(default_factory=dict)
    """The content of each Compose file."""
    unknown: frozenset[TreePath] = frozenset()
    """The paths of texts whose expressions have a problem."""
    broken: frozenset[str] = frozenset()
    """The variables without a value, which have a problem."""
    partial: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The services with wrong keys, each with these keys, which `definition` does not contain."""
    budget: Budget = field(default_factory=Budget)
    """The cost of the evaluation so far, and the limits for the rest."""

    def base(self, at: TreePath = ()) -> Path:
        """Return the folder to which paths at the place *at* are relative: that of the file which contains the place."""
        file, _ = self.source.at(at)
        return Path(os.path.abspath(file)).parent

    def names(self, *also: str) -> frozenset[str]:
        """Return the names in the definition, and of *also*, that the file contains as values.

        A secret with such a text is not masked: the file shows it anyway, and masking it would hide the name.
        """
        return self.clear & {*_names(self.tree), *also, self.file.stem, self.folder.name, self.project.name}

    def path(self, text: str, at: TreePath = ()) -> Path:
        """Return the file or folder of the project that *text* names, which is at the place *at* or directly below it.

        Raises:
            DefinitionError: the path is outside of the project, which cannot be checked earlier if the path contains an expression.
        """
        place = locate(self.tree, text, at)
        found = inside(text, self.base(place), self.project, what=None)
        if isinstance(found, str):
            raise DefinitionError([self.source.problem(place, found)])
        return found


def load(
    file: Path,
    *,
    project: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str],
    recognise: Recogniser = lambda image: None,
    text: str | None = None,
    answers: Answers | None = None,
) -> Loaded:
    """Read *file*. All mistakes in it are listed in `problems`, and nothing is raised for them.

    Args:
        project: the project's folder (default: as `find_project` finds it).
        overrides: the values of `--set`, by name.
        environ: the environment variables of the caller.
        recognise: returns the kind of an image in a Compose file; None if it is unknown.
        text: a content to use instead of that of *file*, which is then not read.
        answers: the answers of Docker Compose, one of which may have been requested before.

    Raises:
        EngineMissing: the definition refers to a Compose file, and Docker Compose is not installed or cannot be started.
        DefinitionError: the definition has too many parts, or its evaluation or Docker Compose takes too long.
    """
    file = Path(os.path.abspath(file))
    project = project or find_project(file, Path.cwd())
    files = _Includes(project, environ, recognise, answers or Answers())
    document = files.document(file, start=_start(file, text))
    if document.tree is None:
        return Loaded(None, {}, file, file.parent, project, document.source, problems=list(document.problems))
    clear = frozenset(str(value) for _, value in walk(document.tree))
    tree = _main_ports(_cleaned(document.tree), files.composed)
    _check_count(tree, document.source)
    spent = Budget()
    variables = resolve_variables(tree.pop("variables", None), document.source, overrides or {}, environ, spent)
    names, scope = dict.fromkeys(service_names(tree)), {"var": variables.values, "env": environ, budget.KEY: spent}
    misnamed = [key for key in tree if is_unknown(key, known_keys(()))]
    if misnamed and not names:  # with `service:` for `services:`, every reference would be reported as unknown
        problems = [document.source.problem((key,), *unknown_key(key, ())) for key in misnamed]
        return Loaded(None, {}, file, file.parent, project, document.source, problems=[*document.problems, *problems])
    evaluation = EarlyEvaluation(document.source, scope, names, variables.broken, evaluated_keys)
    tree = evaluation.tree(tree) | {"variables": variables.values}
    checked = validate(tree, document.source, files.composed, evaluation.unknown)
    loaded = Loaded(
        definition=checked.definition,
        tree=tree,
        file=file,
        folder=file.parent,
        project=project,
        source=document.source,
        variables=variables.values,
        given=variables.given,
        secrets=frozenset(variables.secrets - {""}),
        clear=clear,
        problems=[*document.problems, *variables.problems, *evaluation.problems, *checked.problems],
        compose_extra=files.compose_extra,
        compose_variables=files.compose_variables,
        compose_unresolved=frozenset(files.compose_unresolved),
        losses=files.losses,
        written=files.written,
        composed=files.nodes,
        unknown=frozenset(evaluation.unknown),
        broken=frozenset(variables.broken),
        partial=checked.partial,
        budget=spent,
    )
    checks = Checks(loaded.source, loaded.project, loaded.base, tuple(names))
    unknown = {dotted(path) for path in loaded.unknown}
    loaded.problems.extend(problem for problem in checks.problems(checked.definition) if problem.path not in unknown)
    mask = Mask(loaded.secrets - loaded.names())
    loaded.problems[:] = [problem.masked(mask) for problem in loaded.problems]
    return loaded


def _names(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names in a definition: its keys, its own name, and the texts of parameters that are not passwords."""
    for path, value in walk(tree):
        yield from (key for key in path if isinstance(key, str))
        if isinstance(value, str) and (path == ("name",) or (path[2:3] == ("with",) and not _is_password(path))):
            yield value


def _is_password(path: TreePath) -> bool:
    return any("passw" in key or "secret" in key for key in path[3:] if isinstance(key, str))


def _check_count(tree: Mapping[str, Any], source: Source) -> None:
    for key, items in tree.items():
        if isinstance(items, dict) and len(items) > MAX_ITEMS:
            raise DefinitionError([source.problem((key,), f"there are {len(items):,} {key}, and at most {MAX_ITEMS:,} are allowed")])


def _start(file: Path, text: str | None) -> Document | None:
    """Return the document to use instead of reading *file*; None if *file* is read."""
    if text is not None:
        return parse(text, displayed(file))
    return _compose_alone(file) if is_compose_file(file) else None


def _compose_alone(file: Path) -> Document:
    """Return a Compose file as a definition that contains `from` only."""
    shown = displayed(file)
    return Document({"from": file.name}, Source(shown, {("from",): (shown, 1)}))


@dataclass
class _Includes:
    """A reader of a definition file and its includes, which collects what they contribute besides their trees."""

    project: Path
    environ: Mapping[str, str]
    recognise: Recogniser = lambda image: None
    answers: Answers = field(default_factory=Answers)
    composed: set[str] = field(default_factory=set)
    """The names of the services that a Compose file describes."""
    compose_extra: dict[str, Any] = field(default_factory=dict)
    compose_variables: dict[str, str] = field(default_factory=dict, repr=False)
    compose_unresolved: set[str] = field(default_factory=set)
    losses: list[str] = field(default_factory=list)
    written: dict[Path, list[Text]] = field(default_factory=dict)
    nodes: dict[Path, Node | None] = field(default_factory=dict)

    def document(self, file: Path, chain: tuple[Path, ...] = (), start: Document | None = None) -> Document:
        """Return the document of *file* (or *start*), merged onto its Compose file and its includes. The including file wins."""
        document = start or read(file, self.project)
        if document.tree is None:
            return document
        self.written[file] = [Text(document.source, path, text) for path, text in walk(document.tree) if isinstance(text, str)]
        problems: list[Problem] = []
        base = Document({}, Source(displayed(file)))
        for path, text in _texts(document.tree.pop("include", None), ("include",), document.source, problems):
            included = self._include(text, path, document.source, (*chain, file.resolve()), problems)
            base = merge(base, included) if included.tree is not None else _with_problems(base, included.problems)
        if (value := document.tree.pop("from", None)) is not None:
            base = self._with_compose(base, value, document.source, file, problems)
        return _with_problems(_without_removed(merge(base, document), base), problems)

    def _include(self, text: str, path: TreePath, source: Source, chain: tuple[Path, ...], problems: list[Problem]) -> Document:
        nothing = Document(None, source)
        try:
            text = str(evaluate(text, {"env": self.environ}))
        except ExpressionError as error:
            problems.append(source.problem(path, str(error), "only `env` can be used in `include`"))
            return nothing
        found = inside(text, chain[-1].parent, self.project, what="file")
        if isinstance(found, str):
            problems.append(source.problem(path, found))
            return nothing
        if found.resolve() in chain:
            names = " -> ".join(file.name for file in (*chain[chain.index(found.resolve()) :], found))
            problems.append(source.problem(path, f"a file includes itself: {names}", "remove one of the includes"))
            return nothing
        return self.document(found, chain)

    def _with_compose(self, base: Document, value: Any, source: Source, file: Path, problems: list[Problem]) -> Document:
        reference = ComposeReference(value, source, file.parent, self.project, self.environ, self.recognise, self.nodes, self.answers)
        composed = read_compose(reference)
        problems += composed.problems
        self.composed |= set(composed.tree.get("services", {}))
        self.compose_extra |= composed.extra
        self.compose_variables |= composed.variables
        self.compose_unresolved |= composed.unresolved
        self.losses += composed.losses
        return merge(base, Document(composed.tree, composed.source))


def _with_problems(document: Document, problems: list[Problem] | tuple[Problem, ...]) -> Document:
    return replace(document, problems=(*document.problems, *problems))


_REMOVABLE = ("services", "outputs", "write", "tests")


def _without_removed(document: Document, base: Document) -> Document:
    """Return *document* without the items of *base* that `name: null` removes. A null for another name stays, and is reported later."""
    tree, before = dict(document.tree or {}), base.tree or {}
    for section in _REMOVABLE:
        items, known = tree.get(section), before.get(section)
        if isinstance(items, dict) and isinstance(known, dict):
            tree[section] = {name: item for name, item in items.items() if item is not None or name not in known}
    return replace(document, tree=tree) if document.tree is not None else document


def _texts(value: Any, path: TreePath, source: Source, problems: list[Problem]) -> list[tuple[TreePath, str]]:
    """Return the texts of `KEY: text` or `KEY: [text, ...]` with their paths; add a problem for each value that is not text."""
    if value is None:
        return []
    items = [(path, value)] if not isinstance(value, list) else [((*path, i), item) for i, item in enumerate(value)]
    wrong = [at for at, item in items if not isinstance(item, str)]
    problems += [source.problem(at, "expected the path of a file", "`include: [../common.yaml]`") for at in wrong]
    return [(at, item) for at, item in items if isinstance(item, str)]


def _cleaned(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return *tree* without `x-*` keys and without nulls, at the top level and in each service."""
    found = _without_extras(tree)
    services = found.get("services")
    if isinstance(services, dict):
        found["services"] = {name: _without_extras(service) if isinstance(service, dict) else service for name, service in services.items()}
    return found


def _main_ports(tree: dict[str, Any], composed: Collection[str]) -> dict[str, Any]:
    """Return *tree* with `port:` of a Compose file's service as the first of the ports that the Compose file publishes."""
    services = tree.get("services")
    if isinstance(services, dict):
        tree["services"] = {
            name: _main_port(service) if name in composed and isinstance(service, dict) else service for name, service in services.items()
        }
    return tree


def _main_port(service: dict[str, Any]) -> dict[str, Any]:
    port, ports = service.get("port"), service.get("ports", {})
    if not isinstance(port, int) or not isinstance(ports, dict):
        return service
    name = next((key for key, number in ports.items() if number == port), "main")
    others = {key: number for key, number in ports.items() if number != port}
    return {**{key: value for key, value in service.items() if key != "port"}, "ports": {name: port, **others}}


def _without_extras(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if value is not None and not key.startswith("x-")}
