"""Query: the user's own `query` succeeds, with the client of the kind's probe, `probe`."""

from __future__ import annotations

import importlib

from envctl.readiness import NotReady, Target

TAKE_QUERIES = ("postgres", "mysql", "redis")


def probe(target: Target) -> None:
    """Raise NotReady if the server refuses the query, or if the kind's server takes no queries."""
    name = str(target.options.get("probe", ""))
    if name not in TAKE_QUERIES:
        raise NotReady(f"`query` is for databases (probes {', '.join(TAKE_QUERIES)}); this kind has none")
    importlib.import_module(f"envctl.readiness.{name}").probe(target)
