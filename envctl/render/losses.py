"""Group descriptions of what is not supported here ("losses"), so that one shared by several services is printed once."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def grouped(losses: Iterable[str], services: Collection[str]) -> tuple[str, ...]:
    """Return *losses* in the order of their first occurrence. Those with the same text about different *services* become one."""
    about: dict[str, list[str]] = {}
    for loss in losses:
        names, colon, text = loss.partition(": ")
        owners = names.split(", ")
        if not (colon and set(owners) <= set(services)):
            owners, text = [], loss
        known = about.setdefault(text, [])
        known += [name for name in owners if name not in known]
    return tuple(f"{', '.join(names)}: {text}" if names else text for text, names in about.items())
