"""The admin API under `/__admin`, with WireMock's paths and field names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..http.message import Request, Response, text_response
from .journal import Entry, Journal
from .loading import read_body_file
from .mappings import parse_mapping
from .patterns import parse_pattern
from .refusal import Refusal
from .store import Store


@dataclass(frozen=True)
class _Call:
    """An admin request and what it works on; `identity` is the last part of its path where that varies."""

    request: Request
    store: Store
    journal: Journal
    body_folders: Sequence[Path]
    identity: str = ""

    def document(self) -> object:
        try:
            found: object = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refusal(f"not valid JSON: {error}") from None
        return found

    def parameter(self, name: str) -> str:
        return next(iter(self.request.query.get(name, ())), "")


def answer(store: Store, journal: Journal, body_folders: Sequence[Path], request: Request) -> Response:
    """The response to an admin request."""
    target = f"{request.method} {request.path.rstrip('/')}"
    for route, handler in _ROUTES.items():
        found = re.fullmatch(route.replace("{id}", "([^/]+)"), target)
        if found:
            return _handled(handler, _Call(request, store, journal, body_folders, "".join(found.groups())))
    known = "".join(f"\n  {route}" for route in _ROUTES)
    return text_response(404, f"No such admin request: {target}\nThere are:{known}\n")


def _handled(handler: Callable[[_Call], Response], call: _Call) -> Response:
    try:
        return handler(call)
    except Refusal as refusal:
        errors = [{"code": 10, "title": "Error parsing JSON", "detail": problem} for problem in refusal.problems]
        return _json({"errors": errors}, 422)


def _health(call: _Call) -> Response:
    return _json({"status": "healthy"})


def _list_mappings(call: _Call) -> Response:
    mappings = [mapping.described() for mapping in call.store.all()]
    return _json({"mappings": mappings, "meta": {"total": len(mappings)}})


def _add_mapping(call: _Call) -> Response:
    mapping = parse_mapping(call.document(), "", lambda name: read_body_file(name, call.body_folders))
    call.store.add(mapping)
    return _json(mapping.described(), 201)


def _get_mapping(call: _Call) -> Response:
    mapping = call.store.get(call.identity)
    return _json(mapping.described()) if mapping else Response(404)


def _delete_mapping(call: _Call) -> Response:
    return Response(200 if call.store.remove(call.identity) else 404)


def _delete_mappings(call: _Call) -> Response:
    call.store.clear()
    return Response(200)


def _reset_mappings(call: _Call) -> Response:
    call.store.reset()
    return Response(200)


def _reset_all(call: _Call) -> Response:
    call.store.reset()
    call.journal.clear()
    return Response(200)


def _list_requests(call: _Call) -> Response:
    entries = call.journal.entries()[::-1]
    total = len(entries)
    if call.parameter("unmatched") == "true":
        entries = [entry for entry in entries if not entry.mapping]
    limit = call.parameter("limit")
    if limit.isdecimal():
        entries = entries[: int(limit[:9])]
    return _json({"requests": [entry.described() for entry in entries], "meta": {"total": total}})


def _count_requests(call: _Call) -> Response:
    return _json({"count": len(_matching(call))})


def _find_requests(call: _Call) -> Response:
    return _json({"requests": [entry.described_request() for entry in _matching(call)]})


def _delete_requests(call: _Call) -> Response:
    call.journal.clear()
    return _json({})


def _matching(call: _Call) -> list[Entry]:
    pattern = parse_pattern(call.document())
    return [entry for entry in call.journal.entries() if pattern.matches(entry.request)]


def _json(value: object, status: int = 200) -> Response:
    body = json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Response(status, headers=(("Content-Type", "application/json"),), body=body)


_ROUTES: dict[str, Callable[[_Call], Response]] = {
    "GET /__admin/health": _health,
    "GET /__admin/mappings": _list_mappings,
    "POST /__admin/mappings": _add_mapping,
    "DELETE /__admin/mappings": _delete_mappings,
    "POST /__admin/mappings/reset": _reset_mappings,
    "GET /__admin/mappings/{id}": _get_mapping,
    "DELETE /__admin/mappings/{id}": _delete_mapping,
    "POST /__admin/reset": _reset_all,
    "GET /__admin/requests": _list_requests,
    "POST /__admin/requests/count": _count_requests,
    "POST /__admin/requests/find": _find_requests,
    "DELETE /__admin/requests": _delete_requests,
}
