"""The stub: what it answers to a request, and what it remembers of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..http.message import Request, Response, text_response
from . import admin
from .journal import Entry, Journal
from .report import explain_mismatch
from .store import Store

_ADMIN = "/__admin"


@dataclass(frozen=True)
class Stub:
    """The mappings, the journal, and where the lines of the log go."""

    store: Store
    journal: Journal
    log: Callable[[str], object]
    body_folders: tuple[Path, ...] = ()

    def admit(self, request: Request) -> None:
        """Everybody is served."""

    def refusal(self, status: int, words: str) -> Response:
        """What a client gets whose request cannot be read, or made the stub fail."""
        return text_response(status, f"Bad request: {words}\n" if status < 500 else f"The stub failed on this request: {words}\n")

    def answer(self, request: Request) -> Response:
        """The response to a request, which is logged and, unless it is an admin one, remembered."""
        if request.path == _ADMIN or request.path.startswith(f"{_ADMIN}/"):
            response = admin.answer(self.store, self.journal, self.body_folders, request)
            if request.path != f"{_ADMIN}/health":  # whoever waits for the stub asks several times a second
                self._log(request, response, "admin")
            return response
        return self._answer_from_mappings(request)

    def _answer_from_mappings(self, request: Request) -> Response:
        mapping = self.store.find(request)
        if mapping:
            response = mapping.response.with_header("Matched-Stub-Id", mapping.id)
        else:
            response = text_response(404, explain_mismatch(request, self.store.all()))
        self.journal.record(Entry(request, response.status, mapping))
        self._log(request, response, mapping.label if mapping else "no mapping matches")
        return response

    def _log(self, request: Request, response: Response, remark: str) -> None:
        line = f"{request.method} {request.url} -> {response.status} ({remark})"
        self.log("".join(letter if letter.isprintable() else "?" for letter in line))
