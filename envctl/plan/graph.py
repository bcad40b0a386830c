"""The order of starting: references and `needs` as a graph over (service, state), cycles printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

Node = tuple[str, str]


class Cycle(Exception):
    """The services of a cycle, the first one again at the end."""

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(" -> ".join(path))
        self.path = list(path)


def start_order(needs: Mapping[str, Mapping[str, str]], seeding: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Services in an order in which each can start.

    Args:
        needs: service -> {other: condition} before it starts.
        seeding: service -> {other: condition} before its seeds are done.

    Raises:
        Cycle: there is none.
    """
    graph: dict[Node, set[Node]] = {}
    for name, others in needs.items():
        graph[(name, "started")] = {(other, _state(condition)) for other, condition in others.items()}
        graph[(name, "ready")] = {(name, "started")}
        graph[(name, "seeded")] = {(name, "ready")} | {(o, _state(c)) for o, c in seeding.get(name, {}).items()}
    sorter = TopologicalSorter(graph)
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        raise Cycle(_services(error.args[1])) from None
    return [name for name, state in order if state == "started" and name in needs]


def _state(condition: str) -> str:
    return "seeded" if condition == "done" else condition


def _services(nodes: Sequence[Node]) -> list[str]:
    """The nodes of a cycle (each before the one that needs it) as services, the one that needs first."""
    names = [name for name, _ in reversed(nodes)]
    path = [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    return path if path[0] == path[-1] and len(path) > 1 else [*path, path[0]]
