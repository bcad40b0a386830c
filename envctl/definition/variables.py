"""Evaluation while a definition is loaded: the values of `variables:`, and expressions that use `var` and `env` only.

A value comes from `--set`, `ENVCTL_VAR_*`, `from` or the default; a value that is given as text gets the type of the default.
The plan evaluates expressions with references to services later. A value that is inserted into a text for the plan is escaped,
since a password may contain `${`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envctl.definition.budget import KEY, Budget, OutOfBudget, of
from envctl.definition.expression_syntax import CHAIN, Expression, split
from envctl.definition.expressions import ExpressionError, Reference, escape, evaluate, evaluate_tree, has_expression, references
from envctl.definition.hidden_services import hidden
from envctl.definition.source import Source, TreePath, map_texts, parse, walk
from envctl.definition.yaml_parser import plain_scalar, written
from envctl.errors import DefinitionError, Problem, did_you_mean

_KEYS = ("from", "secret", "default", "description")
PREFIX = "ENVCTL_VAR_"
_IN_SERVICE = ("env", "run", "command", "with", "kubernetes")
_IN_SEED = (("command",), ("rows",), ("generate",), ("keys",), ("messages",), ("http",))
"""The keys of a seed step that may refer to services; most of them can contain inline data."""
_IN_READY = ("http", "port", "command", "log", "query")


@dataclass
class Variables:
    """The values by name. The *broken* variables have a problem already, so their uses are not reported."""

    values: dict[str, Any] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    """The texts from `--set` or the environment, by name. With these texts alone, all variables get the same values again."""
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class _Spec:
    default: Any
    has_default: bool
    variable: str | None
    secret: bool
    prefix: TreePath = ()
    """The path of the default below that of the variable."""


def resolve_variables(declared: Any, source: Source, overrides: Mapping[str, str], environ: Mapping[str, str], budget: Budget) -> Variables:
    """Return the value of each declared variable: from `--set`, ENVCTL_VAR_NAME, its `from` or its default, the first that sets one.

    Raises:
        DefinitionError: the evaluation exceeds *budget*.
    """
    found = Variables(budget=budget)
    if not isinstance(declared, dict):
        if declared is not None:
            found.problems.append(source.problem(("variables",), "expected a map of names to values"))
        declared = {}
    for name in overrides:
        if name not in declared:
            hint = did_you_mean(name, list(declared)) or "this definition has no variables"
            found.problems.append(source.problem(("variables",), f"--set {name}: there is no such variable", hint))
    for name, value in declared.items():
        _resolve(name, value, source, overrides, environ, found)
    return found


def _resolve(name: str, value: Any, source: Source, overrides: Mapping[str, str], environ: Mapping[str, str], found: Variables) -> None:
    path = ("variables", name)
    spec, problems = _spec(value, path, source)
    found.problems += problems
    if not problems:
        try:
            _set(name, spec, _given(name, spec, overrides, environ), environ, found)
            return
        except OutOfBudget as error:
            raise DefinitionError([source.problem((*path, *spec.prefix, *error.path), str(error))]) from None
        except ExpressionError as error:
            if not found.broken & set(_variables_of(spec.default)):
                found.problems.append(source.problem((*path, *spec.prefix, *error.path), str(error)))
        except ValueError as error:
            found.problems.append(source.problem(path, str(error)))
    found.broken.add(name)


def _spec(value: Any, path: TreePath, source: Source) -> tuple[_Spec, list[Problem]]:
    if not isinstance(value, dict):
        return _Spec(value, value is not None, None, False), []
    problems = [
        source.problem((*path, key), f"unknown key '{key}' of a variable", did_you_mean(key, _KEYS)) for key in value if key not in _KEYS
    ]
    if not isinstance(value.get("from", ""), str) or not value.get("from", "x"):
        problems.append(source.problem((*path, "from"), "expected the name of an environment variable"))
    if not isinstance(value.get("secret", False), bool):
        problems.append(source.problem((*path, "secret"), "expected true or false"))
    spec = _Spec(value.get("default"), "default" in value, value.get("from"), value.get("secret") is True, ("default",))
    return spec, problems


def _given(name: str, spec: _Spec, overrides: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the text that sets the variable, and its origin for messages; None if nothing but a default can set it."""
    if name in overrides:
        return overrides[name], "--set"
    for variable in (PREFIX + name, PREFIX + name.upper().replace("-", "_")):
        if variable in environ:
            return environ[variable], variable
    if spec.variable is not None and spec.variable in environ:
        return environ[spec.variable], spec.variable
    return None


def _set(name: str, spec: _Spec, given: tuple[str, str] | None, environ: Mapping[str, str], found: Variables) -> None:
    if given is None and not spec.has_default:
        where = f" or the environment variable {spec.variable}" if spec.variable else ""
        raise ValueError(f"the variable '{name}' has no value; give it one with `--set {name}=...`{where}")
    if spec.secret and given is not None:
        found.secrets.add(given[0])  # before its type is checked, because an error about the type shows the text
    default = None
    if given is None or not isinstance(spec.default, str):
        _refuse_whole(spec.default)
        default = evaluate_tree(spec.default, {"var": dict(found.values), "env": environ, KEY: found.budget})
    value = default if given is None else typed(given[0], default if spec.has_default else "", given[1])
    found.values[name] = value
    found.given |= {name: given[0]} if given is not None else {}
    if spec.secret:
        found.secrets |= {_masked(item) for _, item in walk(value)}


def _refuse_whole(value: Any) -> None:
    """Raise ExpressionError if a default contains `var` or `env` as a whole: it would contain itself."""
    found = [ref for _, text in walk(value) if isinstance(text, str) for ref in references(text, ())]
    if whole := next((ref for ref in found if ref.root in ("var", "env") and not ref.path), None):
        raise ExpressionError(
            f"`${{{whole.expression}}}`: '{whole.root}' is not a value by itself; name a variable: `${{{whole.root}.NAME}}`"
        )


def _masked(value: Any) -> str:
    return written(value) if isinstance(value, int | float) else value if isinstance(value, str) else ""


def typed(text: str, default: Any, origin: str) -> Any:
    """Return *text* as a value of the type of *default*: a number, a boolean, or a list or map in YAML; otherwise it stays text.

    Args:
        origin: where *text* comes from, for the error message.

    Raises:
        ValueError: *text* is not of this type.
    """
    if isinstance(default, bool):
        return _expected(text, bool, "true or false", origin)
    if isinstance(default, int):
        return _expected(text, int, "a whole number", origin)
    if isinstance(default, float):
        return _expected(text, (int, float), "a number", origin)
    if isinstance(default, list | dict):
        return _structure(text, type(default), origin)
    return text


def _expected(text: str, types: type | tuple[type, ...], what: str, origin: str) -> Any:
    value = plain_scalar(text.strip())
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise ValueError(f"expected {what}, like its default; {origin} gives {text!r}")
    return value


def _structure(text: str, kind: type, origin: str) -> Any:
    tree = (parse(f"value: {text}", Path(origin)).tree or {}).get("value")
    if not isinstance(tree, kind):
        raise ValueError(f"expected a {'list' if kind is list else 'map'}, like its default; {origin} gives {text!r}")
    return tree


def _variables_of(value: Any) -> Iterator[str]:
    for _, text in walk(value):
        if isinstance(text, str):
            try:
                yield from (ref.path[0] for ref in references(text, ()) if ref.root == "var" and ref.path)
            except ExpressionError:
                continue


def takes_references(path: TreePath) -> bool:
    """Return whether a text at *path* may refer to services, so that only the plan can evaluate it."""
    if path[:1] == ("outputs",):
        return True
    if path[:1] == ("tests",):
        return len(path) == 2 or path[2:3] == ("run",) or (len(path) == 3 and isinstance(path[2], int))
    if path[:1] != ("services",) or len(path) < 3:
        return False
    if path[2] == "seed":
        return path[4:5] in _IN_SEED
    if path[2] == "ready":
        return len(path) > 3 and path[3] in _IN_READY
    return path[2] in _IN_SERVICE


def is_command(path: TreePath) -> bool:
    """Return whether *path* is a command line, which is split into words before evaluation: a value with blanks stays one argument."""
    if path[:1] == ("tests",):
        return takes_references(path)
    return (
        path[2:3] in (("run",), ("command",)) or path[2:4] == ("ready", "command") or (path[2:3] == ("seed",) and path[4:5] == ("command",))
    )


@dataclass
class EarlyEvaluation:
    """One pass over a tree, which evaluates the expressions that use `var` and `env` only.

    `tree` raises DefinitionError if the evaluation exceeds the budget.
    """

    source: Source
    scope: Mapping[str, Any]
    names: Collection[str]
    broken: Collection[str]
    known_keys: Callable[[TreePath], Collection[str]] = lambda path: ()
    """A function that returns the keys that the map at a path may have; nothing if any are allowed. Other keys stay as they are."""
    problems: list[Problem] = field(default_factory=list)
    unknown: set[TreePath] = field(default_factory=set)
    """The paths of values that could not be determined, so that nothing else is reported about them."""

    def tree(self, value: Any, path: TreePath = ()) -> Any:
        """Return *value*, which is at *path*, with its early expressions evaluated; mistakes are added to `problems`."""
        if isinstance(value, dict):
            known = self.known_keys(path)
            return {key: item if is_unknown(key, known) else self.tree(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, (*path, index)) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: TreePath) -> Any:
        try:
            for part in split(text):
                if isinstance(part, Expression) and not CHAIN.fullmatch(part.source):
                    of(self.scope).compile(part.source)
            return self._evaluated(text, path, references(text, self.names))
        except OutOfBudget as error:
            raise DefinitionError([self.source.problem(path, str(error))]) from None
        except ExpressionError as error:
            self.problems.append(self.source.problem(path, *(hidden(text, self.names, path) or (str(error),))))
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
            return text  # the plan decides what a list, a map or null means in an environment
        if is_command(path):
            return text
        return map_texts(escape, value) if waits else value


def is_unknown(key: str, known: Collection[str]) -> bool:
    """Return whether *key* is unknown. Keys that begin with `x-` are known, and every key is if *known* is empty."""
    return bool(known) and key not in known and not str(key).startswith("x-")


def _too_early(ref: Reference, names: Collection[str]) -> str:
    known = f"`${{{ref.expression}}}` is known only when the environment runs; " if ref.root in names else ""
    return f"{known}only `var` and `env` can be used here, not '{ref.root}'"
