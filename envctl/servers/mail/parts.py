"""A message taken apart: its parts as a tree, line by line, the way MailDev's parser goes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .attachments import Names, name_attachment
from .headers import read_header
from .words import SPACE

TEXTS = ("text/plain", "text/html", "text/calendar")


@dataclass(eq=False)
class Part:
    """One part; its text is bytes read as Latin-1."""

    parent: Part | None = None
    headers: dict[str, str | list[str]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    children: list[Part] = field(default_factory=list)
    is_attachment: bool = False

    @property
    def is_text(self) -> bool:
        """Whether this is shown and not attached."""
        return not self.is_attachment and self.meta.get("contentType") in TEXTS


def take_apart(raw: bytes) -> Part:
    """The root of a message's parts."""
    return _Reader().read(re.split(r"\r?\n|\r", raw.decode("latin-1")))


class _Reader:
    def __init__(self) -> None:
        self._root = Part(fields={"priority": "normal"})
        self._part = self._root
        self._head: list[str] | None = []
        self._boundaries: dict[str, Part] = {}
        self._names = Names()

    def read(self, lines: list[str]) -> Part:
        for line in lines:
            if self._head is not None:
                self._read_head(self._head, line)
            elif not self._at_boundary(line):
                self._part.lines.append(line)
        if self._head:
            self._end_head(self._head)
        return self._root

    def _read_head(self, head: list[str], line: str) -> None:
        if not line:
            self._end_head(head)
        elif head and line[0] in SPACE:
            head[-1] += f" {line.strip(SPACE)}"
        else:
            head.append(line.strip(SPACE))

    def _end_head(self, head: list[str]) -> None:
        part, self._head = self._part, None
        for line in head:
            read_header(part, line)
        if boundary := part.meta.get("mimeBoundary"):
            self._boundaries.setdefault(boundary, part)
        if part is self._root:
            part.meta.setdefault("contentType", "text/plain")
        part.is_attachment = _is_attachment(part)
        if part.is_attachment:
            name_attachment(part.meta, self._names)

    def _at_boundary(self, line: str) -> bool:
        if not line.startswith("--"):
            return False
        if parent := self._boundaries.get(line[2:]):
            self._part, self._head = Part(parent), []
            parent.children.append(self._part)
            return True
        if line.endswith("--") and (parent := self._boundaries.get(line[2:-2])):
            self._part = parent.parent or parent
            return True
        return False


def _is_attachment(part: Part) -> bool:
    disposition = part.meta.get("contentDisposition")
    if part.meta.get("contentType") in TEXTS:
        return disposition == "attachment"
    return "mimeMultipart" not in part.meta
