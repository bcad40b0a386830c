"""Losses as people read them: what several services have in common stands once, with all of their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def grouped(losses: Iterable[str], services: Collection[str]) -> tuple[str, ...]:
    """*losses* in the order in which they come first; those that begin with names of *services* and go on alike are one."""
    about: dict[str, list[str]] = {}
    for loss in losses:
        names, colon, text = loss.partition(": ")
        owners = names.split(", ")
        if not (colon and set(owners) <= set(services)):
            owners, text = [], loss
        known = about.setdefault(text, [])
        known += [name for name in owners if name not in known]
    return tuple(f"{', '.join(names)}: {text}" if names else text for text, names in about.items())
