"""Remove one entry from a proposal; a problem names the entry by its path, for example `services.app.env.PORT`."""

from __future__ import annotations

from dataclasses import replace

from envctl.init.model import KeyValue, ListOfMaps, Proposal, ProposedService

NEEDED = ("kind", "build", "image")
"""Keys that a service cannot do without: if one of them is wrong, the whole service is removed."""


def without(proposal: Proposal, path: str) -> Proposal:
    """Return *proposal* without the smallest removable part that contains *path*."""
    section, _, rest = path.partition(".")
    if section == "services":
        return replace(proposal, services=tuple(kept for service in proposal.services if (kept := _service(service, rest)) is not None))
    return replace(
        proposal,
        variables=_others(proposal.variables, rest) if section == "variables" else proposal.variables,
        outputs=_others(proposal.outputs, rest) if section == "outputs" else proposal.outputs,
        tests=_others(proposal.tests, rest) if section == "tests" else proposal.tests,
    )


def _others(entries: tuple[KeyValue, ...], path: str) -> tuple[KeyValue, ...]:
    return tuple(entry for entry in entries if _below(path, entry.key) is None)


def _below(path: str, key: str) -> str | None:
    """Return the part of *path* below *key*, or None if *path* does not begin with *key*. Keys can contain dots."""
    if path == key:
        return ""
    return path[len(key) + 1 :] if path.startswith(f"{key}.") else None


def _service(service: ProposedService, path: str) -> ProposedService | None:
    rest = _below(path, service.name)
    if rest is None:
        return service
    if rest.partition(".")[0] in ("", *NEEDED):
        return None
    body = tuple(kept for entry in service.body if (kept := _entry(entry, rest)) is not None)
    is_something = service.kind or any(entry.key in NEEDED for entry in body)
    return service._replace(body=body) if body or is_something else None


def _entry(entry: KeyValue, path: str) -> KeyValue | None:
    rest = _below(path, entry.key)
    if rest is None:
        return entry
    value = entry.value
    if isinstance(value, ListOfMaps) and rest:
        number = rest.partition(".")[0]
        items = tuple(item for index, item in enumerate(value.items) if str(index) != number)
        return entry._replace(value=ListOfMaps(items)) if items else None
    if isinstance(value, tuple) and not hasattr(value, "_fields") and rest:
        entries = tuple(kept for below in value if (kept := _entry(below, rest)) is not None)
        return entry._replace(value=entries) if entries else None
    return None
