"""The mappings in force, and which of them answers a request."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ..http.message import Request
from .mappings import Mapping
from .refusal import Refusal


class Store:
    """Mappings that can change while requests are answered."""

    def __init__(self, loaded: Iterable[Mapping] = ()) -> None:
        self._loaded = tuple(loaded)
        self._lock = threading.Lock()
        self._added = self._loaded
        self._ranked = _ranked(self._added)

    def all(self) -> tuple[Mapping, ...]:
        """Every mapping, in the order in which they are tried."""
        return self._ranked

    def find(self, request: Request) -> Mapping | None:
        """The mapping that answers a request."""
        return next((mapping for mapping in self._ranked if mapping.pattern.matches(request)), None)

    def get(self, identity: str) -> Mapping | None:
        """The mapping with an id."""
        return next((mapping for mapping in self._ranked if mapping.id == identity), None)

    def add(self, mapping: Mapping) -> None:
        """Add a mapping, which goes before the others of its priority."""
        with self._lock:
            if self.get(mapping.id):
                raise Refusal(f"id {mapping.id!r} is taken by another mapping")
            self._replace((*self._added, mapping))

    def remove(self, identity: str) -> bool:
        """Remove the mapping with an id; whether there was one."""
        with self._lock:
            before = len(self._added)
            self._replace(tuple(mapping for mapping in self._added if mapping.id != identity))
            return len(self._added) < before

    def clear(self) -> None:
        """Remove every mapping."""
        with self._lock:
            self._replace(())

    def reset(self) -> None:
        """Back to what was loaded."""
        with self._lock:
            self._replace(self._loaded)

    def _replace(self, mappings: tuple[Mapping, ...]) -> None:
        self._added, self._ranked = mappings, _ranked(mappings)


def _ranked(mappings: tuple[Mapping, ...]) -> tuple[Mapping, ...]:
    newest_first = sorted(enumerate(mappings), key=lambda numbered: (numbered[1].priority, -numbered[0]))
    return tuple(mapping for _, mapping in newest_first)
