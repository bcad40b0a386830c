"""The admin API under `/__admin`, with WireMock's paths and field names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..http.message import Request, Response, text_response
from .journal import Entry, Journal
from .loading import read_body_file
from .mappings import Store, parse_mapping
from .parsing import Refusal
from .patterns import parse_pattern


class Admin(NamedTuple):
    """The admin API of a stub.

    Attributes:
        body_folders: the folders in which a new mapping's body file is looked up.
    """

    store: Store
    journal: Journal
    body_folders: Sequence[Path]

    def answer(self, request: Request) -> Response:
        """Return the response to an admin request."""
        target = f"{request.method} {request.path.rstrip('/')}"
        for route, handler in _ROUTES.items():
            if found := re.fullmatch(route.replace("{id}", "([^/]+)"), target):
                try:
                    return handler(self, request, *found.groups())
                except Refusal as refusal:
                    errors = [{"code": 10, "title": "Error parsing JSON", "detail": problem} for problem in refusal.problems]
                    return _json({"errors": errors}, 422)
        known = "".join(f"\n  {route}" for route in _ROUTES)
        return text_response(404, f"No such admin request: {target}\nKnown requests:{known}\n")

    def _health(self, request: Request) -> Response:
        return _json({"status": "healthy"})

    def _list_mappings(self, request: Request) -> Response:
        mappings = [mapping.described() for mapping in self.store.all()]
        return _json({"mappings": mappings, "meta": {"total": len(mappings)}})

    def _add_mapping(self, request: Request) -> Response:
        mapping = parse_mapping(_document(request), "", lambda name: read_body_file(name, self.body_folders))
        self.store.add(mapping)
        return _json(mapping.described(), 201)

    def _get_mapping(self, request: Request, identity: str) -> Response:
        mapping = self.store.get(identity)
        return _json(mapping.described()) if mapping else Response(404)

    def _delete_mapping(self, request: Request, identity: str) -> Response:
        return Response(200 if self.store.remove(identity) else 404)

    def _delete_mappings(self, request: Request) -> Response:
        self.store.clear()
        return Response(200)

    def _reset_mappings(self, request: Request) -> Response:
        self.store.reset()
        return Response(200)

    def _reset_all(self, request: Request) -> Response:
        self.journal.clear()
        return self._reset_mappings(request)

    def _list_requests(self, request: Request) -> Response:
        entries = self.journal.entries()[::-1]
        total = len(entries)
        if request.query.get("unmatched", [""])[0] == "true":
            entries = [entry for entry in entries if not entry.mapping]
        limit = request.query.get("limit", [""])[0]
        if limit.isdecimal():
            entries = entries[: int(limit[:9])]
        return _json({"requests": [entry.described() for entry in entries], "meta": {"total": total}})

    def _count_requests(self, request: Request) -> Response:
        return _json({"count": len(self._matching(request))})

    def _find_requests(self, request: Request) -> Response:
        return _json({"requests": [entry.described_request() for entry in self._matching(request)]})

    def _delete_requests(self, request: Request) -> Response:
        self.journal.clear()
        return _json({})

    def _matching(self, request: Request) -> list[Entry]:
        pattern = parse_pattern(_document(request))
        return [entry for entry in self.journal.entries() if pattern.matches(entry.request)]


def _document(request: Request) -> object:
    try:
        found: object = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refusal(f"not valid JSON: {error}") from None
    return found


def _json(value: object, status: int = 200) -> Response:
    body = json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Response(status, headers=(("Content-Type", "application/json"),), body=body)


_ROUTES: dict[str, Callable[..., Response]] = {
    "GET /__admin/health": Admin._health,
    "GET /__admin/mappings": Admin._list_mappings,
    "POST /__admin/mappings": Admin._add_mapping,
    "DELETE /__admin/mappings": Admin._delete_mappings,
    "POST /__admin/mappings/reset": Admin._reset_mappings,
    "GET /__admin/mappings/{id}": Admin._get_mapping,
    "DELETE /__admin/mappings/{id}": Admin._delete_mapping,
    "POST /__admin/reset": Admin._reset_all,
    "GET /__admin/requests": Admin._list_requests,
    "POST /__admin/requests/count": Admin._count_requests,
    "POST /__admin/requests/find": Admin._find_requests,
    "DELETE /__admin/requests": Admin._delete_requests,
}
