"""HTML without what could run in a browser, written as a whole document: what DOMPurify makes of it for MailDev."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from .markup import ENDS, ENDS_PARAGRAPH, GONE_WITH_CONTENT, OF_HEAD, OF_TABLE, SCOPE, SECTIONS, TAGS, VOID, escaped, shown_attributes


def clean(page: str) -> str:
    """The document."""
    cleaner = _Cleaner()
    cleaner.feed(page)
    cleaner.close()
    return cleaner.document(page[: len(page) - len(page.lstrip("\t\n\r "))])


class _Cleaner(HTMLParser):
    """Writes down what it is fed, section by section, with the elements closed that browsers close by themselves."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._attributes = {"html": "", "head": "", "body": ""}
        self._written: dict[str, list[str]] = {"head": [], "between": [], "body": []}
        self._section = "before"
        self._open: list[str] = []
        self._muted = 0
        self._style = 0
        self._quirks = True
        self._fresh_pre = False

    def document(self, leading: str) -> str:
        self._close_to(0)
        head, between, body = ("".join(self._written[name]) for name in ("head", "between", "body"))
        given = self._attributes
        return f"<html{given['html']}><head{given['head']}>{head}</head>{between}<body{given['body']}>{leading}{body}</body></html>"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = shown_attributes(tag, self.get_starttag_text() or "")
        if tag in self._attributes:
            self._attributes[tag] = self._attributes[tag] or attributes
            self._section = {"html": self._section, "head": "head", "body": "body"}[tag] if self._section != "body" else "body"
        else:
            self._start(tag, attributes)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # the slash means nothing in HTML

    def handle_endtag(self, tag: str) -> None:
        self._fresh_pre = False
        if tag == "head" and self._section in ("before", "head"):
            self._close_to(0)
            self._section = "between"
        elif tag in self._open:
            self._end({tag}, _scope_of(tag))
        elif tag in ("p", "br"):
            self._start(tag)  # browsers take these for a whole element
            self._close_to(len(self._open) - (tag == "p"))

    def handle_decl(self, decl: str) -> None:
        self._quirks = self._quirks and bool(self._open or self._section != "before")

    def handle_data(self, data: str) -> None:
        text = data.removeprefix("\n") if self._fresh_pre else data
        data, self._fresh_pre = text, False
        if not self._open and self._section != "body":
            stripped = data.lstrip("\t\n\f\r ")
            blank, text = data[: len(data) - len(stripped)], stripped
            if self._section != "before":
                self._written[self._section].append(blank)
        if text:
            self._enter("#text")
            self._write(text if self._open[-1:] == ["style"] else escaped(text))

    def _start(self, tag: str, attributes: str = "") -> None:
        self._enter(tag)
        self._fresh_pre = tag in ("pre", "textarea", "listing")
        self._make_room(tag)
        self._style = len(self._target) if tag == "style" else self._style
        self._write(f"<{tag}{attributes}>" if tag in TAGS else "")
        if tag not in VOID:
            self._muted += tag in GONE_WITH_CONTENT
            self._open.append(tag)

    def _enter(self, tag: str) -> None:
        if self._section == "body" or (self._open and self._section == "head"):
            return
        self._section = "head" if tag in OF_HEAD else "body"

    def _make_room(self, tag: str) -> None:
        if tag in ENDS_PARAGRAPH and not (tag == "table" and self._quirks):
            self._end({"p"}, SCOPE)
        if tag in ENDS:
            self._end(*ENDS[tag])
        if tag == "a":
            self._end({"a"}, SCOPE)
        if tag in SECTIONS or tag == "caption":
            self._end({*SECTIONS, "caption", "colgroup"}, {"table"})
        if tag == "tr":
            self._end({"tr", "caption", "colgroup"}, {"table"})
            self._need("tbody", {"table"})
        if tag in ("td", "th"):
            self._end({"td", "th"}, {"table", "tr"})
            self._need("tbody", {"table"})
            self._need("tr", SECTIONS)
        if tag == "col":
            self._need("colgroup", {"table"})

    def _end(self, tags: set[str], scope: frozenset[str] | set[str]) -> None:
        for position in reversed(range(len(self._open))):
            if self._open[position] in tags:
                self._close_to(position)
                return
            if self._open[position] in scope:
                return

    def _need(self, tag: str, inside: frozenset[str] | set[str]) -> None:
        if self._open and self._open[-1] in inside:
            self._write(f"<{tag}>")
            self._open.append(tag)

    def _close_to(self, depth: int) -> None:
        while len(self._open) > depth:
            tag = self._open.pop()
            self._muted -= tag in GONE_WITH_CONTENT
            if tag == "style" and re.search(r"<[/\w!]", "".join(self._target[self._style + 1 :])):
                del self._target[self._style :]  # text that looks like markup: the element goes altogether
            else:
                self._write(f"</{tag}>" if tag in TAGS else "")

    def _write(self, text: str) -> None:
        if not self._muted:
            self._target.append(text)

    @property
    def _target(self) -> list[str]:
        return self._written["head" if self._section == "head" else "body"]


def _scope_of(tag: str) -> frozenset[str]:
    """What an end tag does not reach beyond."""
    if tag == "table":
        return frozenset()
    return frozenset({"table"}) if tag in OF_TABLE else SCOPE
