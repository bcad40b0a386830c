"""The text and the HTML of a message, put together from its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .words import decode, from_base64, from_quoted_printable

if TYPE_CHECKING:
    from .parts import Part

_HTTP_EQUIV = re.compile(r"http-equiv\s*=\s*\"?content-type", re.IGNORECASE)
_CHARSET = re.compile(r"\scharset\s*=\s*['\"]?[\w-]+[\"'\s>/]", re.IGNORECASE)


def content_of(part: Part) -> str:
    """The text of a part, decoded."""
    meta, encoding = part.meta, part.meta.get("transferEncoding")
    flowed, joined = meta.get("textFormat") == "flowed", meta.get("textDelSp") == "yes"
    as_is = encoding not in ("quoted-printable", "base64")
    text = _unfolded(part.lines, joined) if flowed and as_is else "\n".join(part.lines)
    if not text:
        return ""
    if meta["contentType"] == "text/html" and not meta.get("charset"):
        meta["charset"] = _declared_charset(text) or "iso-8859-1"
    content = decode(_bytes(text, encoding), meta.get("charset", "iso-8859-1"))
    if flowed and encoding == "quoted-printable":
        return re.sub(r"(?<!^--)(?<!\n--) \n", "" if joined else " ", content)
    return content


def bodies_of(root: Part) -> dict[str, Any]:
    """What of `html`, `text` and `alternatives` there is."""
    parts = [(root, 0)] if "mimeMultipart" not in root.meta else [*_descendants(root, 1)]
    contents = [(part, level, content_of(part)) for part, level in parts if part.is_text]
    pages = _pages(contents)
    texts = [text for part, _, text in contents if part.meta["contentType"] == "text/plain"]
    # As many texts as there are pages are alternatives to them; what is left over belongs to both.
    paired = min(len(texts), len(pages)) if pages else len(texts)
    rest = "".join(texts[paired:])
    html = _concatenated(pages) + (rest if pages else "")
    calendars = [{**part.meta, **({"content": text} if text else {})} for part, _, text in contents if _is_calendar(part)]
    found = {"html": html, "text": "".join(texts), "alternatives": calendars}
    return {name: value for name, value in found.items() if value}


def _is_calendar(part: Part) -> bool:
    return bool(part.meta["contentType"] == "text/calendar")


def _descendants(part: Part, level: int) -> Iterator[tuple[Part, int]]:
    for child in part.children:
        yield child, level
        yield from _descendants(child, level + 1)


def _bytes(text: str, encoding: str | None) -> bytes:
    if encoding == "quoted-printable":
        return from_quoted_printable(text)
    return from_base64(text) if encoding == "base64" else text.encode("latin-1")


def _unfolded(lines: list[str], joined: bool) -> str:
    pieces: list[str] = []
    for line in lines:
        if pieces and pieces[-1].endswith(" ") and pieces[-1] != "-- ":
            pieces[-1] = (pieces[-1].rstrip(" ") if joined else pieces[-1]) + line
        else:
            pieces.append(line)
    return "\n".join(pieces)


def _declared_charset(page: str) -> str:
    found = re.search(r"<meta\s+http-equiv=[\"']content-type[\"'][^>]*?charset\s?=\s?([\w:-]*)", page, re.IGNORECASE)
    found = found if found and found[1] else re.search(r"<meta\s+charset=[\"']([^'\"</]*?)[\"']", page, re.IGNORECASE)
    return found[1].strip().lower() if found else ""


def _pages(contents: list[tuple[Part, int, str]]) -> list[str]:
    pages: list[tuple[str, int]] = []
    for part, level, text in contents:
        if part.meta["contentType"] != "text/html":
            continue
        beside = part.parent is not None and part.parent.meta.get("mimeMultipart") == "mixed"
        position = next((number for number, (_, known) in enumerate(pages) if known == level), None) if beside else None
        if position is None:
            pages.append((re.sub(r"<meta[^>]*>", _in_utf8, text, flags=re.IGNORECASE), level))
        else:
            pages[position] = (_appended(pages[position][0], text), level)
    return [page for page, _ in pages]


def _in_utf8(meta: re.Match[str]) -> str:
    if _HTTP_EQUIV.search(meta[0]):
        return '<meta http-equiv="content-type" content="text/html; charset=utf-8" />'
    return '<meta charset="utf-8"/>' if _CHARSET.search(meta[0]) else meta[0]


def _appended(page: str, more: str) -> str:
    body = re.sub(r"^\s*<!doctype( [^>]*)?>", "", more.strip(), flags=re.IGNORECASE)
    body = re.sub(r"<head( [^>]*)?>.*</head( [^>]*)?>|</?html( [^>]*)?>", "", body, flags=re.IGNORECASE).strip()
    if inner := re.search(r"<body(?: [^>]*)?>(.*)</body( [^>]*)?>", body, re.IGNORECASE):
        body = inner[1].strip()
    end = re.search(r"</body( [^>]*)?>", page.strip(), re.IGNORECASE)
    place = end.start() if end else len(page.strip())
    return f"{page.strip()[:place]}<br/>\n{body}{page.strip()[place:]}"


def _concatenated(pages: list[str]) -> str:
    """Pages from several levels as one; where one of them is a whole document, the others go to the end of its body."""
    given = [page for page in pages if page]
    whole = next((page for page in given if re.search(r"<(html|head)\b", page[:1024], re.IGNORECASE)), None)
    if whole is None or len(given) < 2:
        return "".join(given)
    others = "".join(page for page in given if page is not whole)
    end = re.search(r"\s*</body\b", whole, re.IGNORECASE)
    return f"{whole[: end.start()]}{others}{whole[end.start() :]}" if end else whole + others
