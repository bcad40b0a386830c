"""Render objects from Jinja2 templates of YAML. A project's own `templates/kubernetes/` takes precedence over envctl's.

A value never becomes part of the YAML text: an expression writes a mark, and the value replaces the mark after the text is parsed. So
values need no quoting, and texts that differ only in values are parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateSyntaxError, pass_context
from jinja2.environment import Environment
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from envctl.definition.budget import Budget, of
from envctl.definition.sandbox import counted_templates
from envctl.definition.source import displayed, parse
from envctl.definition.step_counting import Written
from envctl.errors import DefinitionError, Problem, UsageError
from envctl.files.folders import FileRefused
from envctl.files.package_data import templates
from envctl.files.reading import read_file

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Object = dict[str, Any]
_MARK = re.compile("\ue000(\\d+)\ue001")
_VALUES = "values of this rendering"


LARGEST = 1_000_000


class Templates:
    """The templates of a project, each compiled once. If some are the project's own, a budget limits the whole rendering."""

    def __init__(self, project: Path) -> None:
        ours, own = templates("kubernetes"), project / "templates" / "kubernetes"
        self._folders = [own, ours]
        self._budget = Budget() if own.resolve() != ours.resolve() and any(own.glob("*.j2")) else None
        loader = FunctionLoader(self._source)
        self._environment: Environment = (
            ImmutableSandboxedEnvironment(loader=loader, undefined=StrictUndefined, autoescape=False, finalize=_marked, auto_reload=False)
            if self._budget is None
            else counted_templates(self._budget, loader, _marked)
        )

    def _source(self, name: str) -> tuple[str, str, None] | None:
        for folder in self._folders:
            file = folder / name
            try:
                text = read_file(file, folder, largest=LARGEST).decode()
            except FileNotFoundError:
                continue
            except (FileRefused, OSError, UnicodeDecodeError) as error:
                raise _wrong(file, 1, f"it cannot be read: {error}") from None
            if self._budget is not None:
                self._budget.compile(text)
            return text, str(file), None
        return None

    def render(self, name: str, /, **values: Any) -> Object:
        """Return the object that the template `NAME.yaml.j2` makes from *values*.

        Raises:
            DefinitionError: the template or its YAML is wrong, or rendering exceeds the budget.
        """
        file = f"{name}.yaml.j2"
        kept: list[Any] = []
        try:
            found = self._object(self._environment.get_template(file).render({**values, _VALUES: kept}), kept)
        except (DefinitionError, MemoryError, KeyboardInterrupt, UsageError):
            raise
        except yaml.YAMLError as error:
            raise self._problem(file, error, " ".join(str(error).split())) from None
        except Exception as error:  # A filter can raise any exception.
            raise self._problem(file, error, _words(error)) from None
        if not isinstance(found, dict) or not _complete(found):
            raise self._problem(file, None, "not a Kubernetes object: it needs `apiVersion`, `kind` and `metadata` with a `name`")
        return found

    def _object(self, text: str, kept: list[Any]) -> Any:
        if self._budget is None:
            return filled(_read(text), kept)
        document = parse(text, Path("what it makes"))  # `parse` reports what exceeds its limits.
        if document.tree is None:
            raise yaml.YAMLError("; ".join(map(str, document.problems)))
        return filled(_read(text), kept, self._budget)

    def _problem(self, name: str, error: Exception | None, what: str) -> DefinitionError:
        file = next((folder / name for folder in self._folders if (folder / name).is_file()), Path(name))
        return _wrong(*(_place(error) or (file, 1)), what)


def _wrong(file: Path, line: int, what: str) -> DefinitionError:
    return DefinitionError([Problem(displayed(file), line, "", what)])


def _place(error: Exception | None) -> tuple[Path, int] | None:
    """Return the template and line in which *error* was raised; None if it is not known. Jinja adds frames with the template's lines."""
    if isinstance(error, TemplateSyntaxError) and error.filename:
        return Path(error.filename), error.lineno
    trace, found = error.__traceback__ if error else None, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        found = (Path(file), trace.tb_lineno) if file.endswith(".j2") else found
        trace = trace.tb_next
    return found


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or includes itself"
    return f"{type(error).__name__}: {error}" if isinstance(error, TemplateError) else str(error) or type(error).__name__


@pass_context
def _marked(context: Context, value: Any) -> Any:
    if isinstance(value, Written):
        of(context).make(value)
        return value
    kept: list[Any] = context[_VALUES]
    if isinstance(value, StrictUndefined):
        str(value)  # This raises an error.
    kept.append(value)
    return f"\ue000{len(kept) - 1}\ue001"


@lru_cache(maxsize=256)
def _read(text: str) -> Any:
    return yaml.load(text, _LOADER)


def filled(tree: Any, values: list[Any], budget: Budget | None = None) -> Any:
    """Return a copy of *tree* with values in place of their marks. The size of the values counts towards *budget*."""
    if budget is not None:
        budget.step()
    if isinstance(tree, str):
        whole = _MARK.fullmatch(tree)
        return _value(values, whole, budget) if whole else _MARK.sub(lambda mark: str(_value(values, mark, budget)), tree)
    if isinstance(tree, dict):
        return {filled(key, values, budget): filled(value, values, budget) for key, value in tree.items()}
    return [filled(item, values, budget) for item in tree] if isinstance(tree, list) else tree


def _value(values: list[Any], mark: re.Match[str], budget: Budget | None) -> Any:
    value = values[int(mark[1])]
    if budget is not None:
        budget.make(value)
    return value


def _complete(found: Mapping[str, Any]) -> bool:
    """Return whether *found* is a complete object. Pods and containers are parts of objects and need no `apiVersion`."""
    if "apiVersion" not in found and "kind" not in found:
        return "spec" in found or "image" in found
    return bool(found.get("apiVersion") and found.get("kind") and (found.get("metadata") or {}).get("name"))
