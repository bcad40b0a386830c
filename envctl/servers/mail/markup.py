"""HTML -> text: all its words on one line, or lines as a person reads them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BLOCKS = (
    "div p td th h1 h2 h3 h4 h5 h6 ul ol li address article aside blockquote dl dt footer header hr main nav pre table thead tfoot video"
)
_BLOCK_ENDS = re.compile(rf"</({_BLOCKS.replace(' ', '|')})><", re.IGNORECASE)
_SILENT = ("script", "title", "head", "style", "noscript")


class _Reader(HTMLParser):
    """Collects what is shown; `link` is how the address of a link is written after its text."""

    def __init__(self, link: str, breaks: bool) -> None:
        super().__init__()
        self.found: list[str] = []
        self._link, self._breaks = link, breaks
        self._silent, self._links = 0, [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._links.append(dict(attrs).get("href") or "")
        elif tag == "br" and self._breaks:
            self.found.append("\n")
        # A head that is not closed ends where the body begins.
        self._silent = 0 if tag == "body" else self._silent + (tag in _SILENT)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and len(self._links) > 1 and (target := self._links.pop()).lower().startswith("http"):
            self.found.append(self._link.format(target))
        elif tag in _BLOCKS.split() and self._breaks:
            self.found.append("\n" if tag in ("li", "td", "th", "dt") else "\n\n")
        self._silent = max(0, self._silent - (tag in _SILENT))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data if not self._breaks else re.sub(r"\s+", " ", data))


def _read(html: str, link: str, breaks: bool) -> str:
    reader = _Reader(link, breaks)
    reader.feed(html)
    reader.close()
    return "".join(reader.found)


def as_words(html: str, link: str = "") -> str:
    """Every word that is shown, one blank between them, as Mailpit has it for snippets and searches."""
    html = _BLOCK_ENDS.sub(r"</\1> <", html)
    html = re.sub(r"<img", " <img", re.sub(r"<br( /)?>", " ", html, flags=re.IGNORECASE), flags=re.IGNORECASE)
    shown = "".join(letter if letter.isprintable() else " " for letter in _read(html, link, breaks=False).replace("\ufeff", " "))
    return re.sub(r"\s+", " ", shown).strip()


def as_lines(html: str) -> str:
    """The text of a message that has HTML only. Mailpit's own is a little different: stars around headings and bold words."""
    lines = (line.strip() for line in _read(html, " ( {} )", breaks=True).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
