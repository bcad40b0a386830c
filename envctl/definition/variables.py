"""`variables:`, `--set`, `ENVCTL_VAR_*` and `from` -> values; what is given as text gets the type of the default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from envctl.definition.expressions import ExpressionError, evaluate_tree, references
from envctl.definition.scalars import plain_scalar, written
from envctl.definition.source import Source, TreePath, walk
from envctl.errors import Problem, did_you_mean

_KEYS = ("from", "secret", "default", "description")
PREFIX = "ENVCTL_VAR_"


@dataclass
class Variables:
    """Values by name; *broken* ones have a problem already, so that their uses need none."""

    values: dict[str, Any] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    """The texts that came with `--set` or from the environment: with these alone the same values come out again."""


@dataclass(frozen=True)
class _Spec:
    default: Any
    has_default: bool
    variable: str | None
    secret: bool
    prefix: TreePath = ()
    """Where the default stands below the variable."""


def resolve_variables(declared: Any, source: Source, overrides: Mapping[str, str], environ: Mapping[str, str]) -> Variables:
    """The value of each declared variable: `--set`, then ENVCTL_VAR_NAME, then its `from`, then its default."""
    found = Variables()
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
        except ExpressionError as error:
            if not _refers_to_broken(spec.default, found.broken):
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
    """The text that decides, and where it comes from."""
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
    default = None
    if given is None or not isinstance(spec.default, str):
        default = evaluate_tree(spec.default, {"var": found.values, "env": environ})
    value = default if given is None else typed(given[0], default if spec.has_default else "", given[1])
    found.values[name] = value
    found.given |= {name: given[0]} if given is not None else {}
    if spec.secret:
        found.secrets |= {_masked(item) for _, item in walk(value)} - {""}


def _masked(value: Any) -> str:
    return written(value) if isinstance(value, int | float) else value if isinstance(value, str) else ""


def typed(text: str, default: Any, origin: str) -> Any:
    """*text* as a value of the type of *default*: a number, true or false, a list or map in YAML; else it stays text.

    Raises:
        ValueError: it is none.
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
        raise ValueError(f"expected {what}, as its default is; {origin} gives {text!r}")
    return value


def _structure(text: str, kind: type, origin: str) -> Any:
    from pathlib import Path

    from envctl.definition.source import parse

    tree = (parse(f"value: {text}", Path(origin)).tree or {}).get("value")
    if not isinstance(tree, kind):
        raise ValueError(f"expected a {'list' if kind is list else 'map'}, as its default is; {origin} gives {text!r}")
    return tree


def _refers_to_broken(default: Any, broken: set[str]) -> bool:
    return any(name in broken for name in _variables_of(default))


def _variables_of(value: Any) -> Iterator[str]:
    for _, text in walk(value):
        if isinstance(text, str):
            try:
                yield from (ref.path[0] for ref in references(text, ()) if ref.root == "var" and ref.path)
            except ExpressionError:
                continue
