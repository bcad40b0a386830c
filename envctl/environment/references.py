"""A check that every service, property, variable and database in an expression exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envctl.definition.budget import Budget
from envctl.definition.expression_syntax import shell_advice
from envctl.definition.expressions import ExpressionError, Reference, references
from envctl.definition.hidden_services import hidden
from envctl.definition.kinds import Kind, items_of
from envctl.definition.load import Loaded
from envctl.definition.models import Service
from envctl.definition.source import TreePath, service_names, walk
from envctl.definition.variables import takes_references
from envctl.environment.services import port_names
from envctl.errors import Problem, did_you_mean

_FIXED = {"instance": ("id", "name"), "lane": ("number",), "tester": ("host",)}
_SIDES = ("inside", "outside")


def check_references(loaded: Loaded, kinds: Mapping[str, Kind], environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the mistakes in every expression that the plan evaluates; *kinds* has the kinds of those services whose kind is known."""
    checking = _References(loaded, kinds, environ, dict.fromkeys(service_names(loaded.tree)))
    for path, text in walk(loaded.tree):
        if isinstance(text, str) and "${" in text and takes_references(path):
            yield from checking.text(text, path)
    for path in _keys(loaded, kinds):
        yield from checking.text(str(path[-1]), path)


def _keys(loaded: Loaded, kinds: Mapping[str, Kind]) -> Iterator[TreePath]:
    """Yield the keys that declare items (databases, users) and contain an expression."""
    for name, service in loaded.definition.services.items() if loaded.definition else ():
        for key in kinds[name].several if name in kinds else ():
            given = service.with_.get(key)
            yield from (("services", name, "with", key, item) for item in given if "${" in str(item)) if isinstance(given, dict) else ()


@dataclass(frozen=True)
class _References:
    loaded: Loaded
    kinds: Mapping[str, Kind]
    environ: Mapping[str, str]
    names: Mapping[str, None]
    """All services; a mapping, because it is searched for each reference."""

    def text(self, text: str, path: TreePath) -> Iterator[Problem]:
        try:
            found = references(text, self.names)
        except ExpressionError:
            return  # already reported when the definition was loaded
        for ref in found:
            if problem := self._wrong(ref, path):
                said = hidden(f"${{{ref.expression}}}", self.names, path) or (f"`${{{ref.expression}}}`: {problem[0]}", problem[1])
                yield self.loaded.source.problem(path, *said)

    def _wrong(self, ref: Reference, path: TreePath) -> tuple[str, str] | None:
        """Return what is wrong with a reference, and what would be right."""
        own = str(path[1]) if path[0] == "services" else None
        if ref.root in ("var", "env"):
            return self._value(ref)
        if ref.root in _FIXED:
            return _missing(ref.root, ref.path, _FIXED[ref.root], ref)
        if ref.root == "self":
            if own is None:
                return "`self` is the service in which an expression stands, and this one stands in none", ""
            return self._property(own, ref)
        if ref.root not in self.names:
            known = list(dict.fromkeys([*self.names, "var", "env", *_FIXED, *(["self"] if own else [])]))
            advice = shell_advice(ref.expression, known) or did_you_mean(ref.root, known)
            return None if ref.optional else (f"there is no service '{ref.root}'", advice)
        if ref.root != own and path[2:3] == ("with",) and path[3:4] and self._is_several(str(own), str(path[3])):
            return f"{path[3]} are made with their server, and cannot refer to other services", "only to `self`, `var` and `env`"
        if ref.root == own:
            return f"a service refers to itself as `self`, not as '{own}'", f"`${{{'.'.join(('self', *ref.path))}}}`"
        return self._property(ref.root, ref)

    def _is_several(self, service: str, key: str) -> bool:
        kind = self.kinds.get(service)
        return kind is not None and key in kind.several

    def _value(self, ref: Reference) -> tuple[str, str] | None:
        if ref.optional:
            return None
        if ref.root == "env":
            if not ref.path or ref.path[0] in self.environ:
                return None if ref.path else ("`env` is not a value", "name a variable: `${env.HOME}`")
            name = ref.path[0]
            return (
                f"the environment variable {name} is not set",
                f'`${{env.{name} | default("...")}}` gives it a default',
            )
        known = [*self.loaded.variables, *self.loaded.broken]
        return _missing("var", ref.path, known, ref)

    def _property(self, name: str, ref: Reference) -> tuple[str, str] | None:
        service, kind = self._service(name), self.kinds.get(name)
        if service is None or kind is None:
            return None
        steps = ref.path[1:] if ref.path[:1] and ref.path[0] in _SIDES else ref.path
        known = _properties(service, kind)
        if wrong := _missing(ref.root, steps, known, ref):
            if self.loaded.partial.get(name, frozenset()) & {"kind", "port", "ports", "with"}:
                return None  # the missing property may be a consequence of another mistake
            if steps and steps[0] == "public_url":
                return f"'{name}' has no URL for browsers", "give it `expose: true`"
            if steps and steps[0] in ("host", "port", "ports", "url"):
                return f"'{name}' has no port, and so no address", "give it `port:`"
            return wrong
        return self._inner(name, service, kind, steps, ref) if steps else None

    def _inner(self, name: str, service: Service, kind: Kind, steps: tuple[str, ...], ref: Reference) -> tuple[str, str] | None:
        """Return what is wrong with a reference to a port by its name, or to a declared item (a database, a user, a topic)."""
        where = f"{ref.root}.{steps[0]}"
        if steps[0] == "ports" and len(steps) > 1:
            return _missing(where, steps[1:], port_names(service, kind), ref)
        if steps[0] == "first" and len(steps) > 1:
            return _missing(where, steps[1:], list(kind.several), ref)
        if steps[0] not in kind.several or len(steps) < 2:
            return None
        items = _items(kind, steps[0], service.with_.get(steps[0]), name, self.loaded.budget)
        if items is None or steps[1] in ("values", "keys", "items"):
            return None
        if wrong := _missing(where, steps[1:], list(items), ref):
            return wrong
        several = kind.several[steps[0]]
        known = [*several.properties, *several.options, "name"]
        return _missing(f"{where}.{steps[1]}", steps[2:], known, ref) if len(steps) > 2 else None

    def _service(self, name: str) -> Service | None:
        return self.loaded.definition.services.get(name) if self.loaded.definition else None


def _properties(service: Service, kind: Kind) -> list[str]:
    address = ["host", "port", "ports"] if port_names(service, kind) else []
    shared = ["name", "bind", "prefix", "first", *_SIDES, *(["public_url"] if service.expose else [])]
    return list(dict.fromkeys([*address, *kind.properties, *kind.parameters, *kind.several, *shared]))


def _items(kind: Kind, key: str, given: Any, name: str, budget: Budget) -> Mapping[str, Any] | None:
    """Return names and options; None if an expression is one of the names."""
    items = items_of(kind, key, given, name, budget)
    return None if any("${" in item for item in items) else items


def _missing(owner: str, steps: tuple[str, ...], known: Sequence[str], ref: Reference) -> tuple[str, str] | None:
    if not steps:
        example = f", e.g. `${{{owner}.{known[0]}}}`" if known else ""
        return None if ref.optional else (f"'{owner}' is not a value by itself", f"name one of its properties{example}")
    if steps[0] in known or ref.optional:
        return None
    return f"'{owner}' has no '{steps[0]}'", did_you_mean(steps[0], known, limit=40)
