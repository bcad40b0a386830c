"""Attachments: their names and their bytes."""

from __future__ import annotations

import re
from hashlib import md5
from typing import Any

from .words import from_base64, from_quoted_printable

Names = dict[str, int]

# The first name that has a type is the one for files without a name.
_TYPES = {
    "bin": "application/octet-stream",
    "gz": "application/gzip",
    "js": "application/javascript",
    "json": "application/json",
    "doc": "application/msword",
    "pdf": "application/pdf",
    "asc": "application/pgp-signature",
    "p7m": "application/pkcs7-mime",
    "p7s": "application/pkcs7-signature",
    "ai": "application/postscript",
    "rtf": "application/rtf",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "7z": "application/x-7z-compressed",
    "tar": "application/x-tar",
    "xml": "application/xml",
    "zip": "application/zip",
    "mpga": "audio/mpeg",
    "mp3": "audio/mpeg",
    "oga": "audio/ogg",
    "wav": "audio/wav",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "ico": "image/vnd.microsoft.icon",
    "eml": "message/rfc822",
    "ics": "text/calendar",
    "css": "text/css",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "md": "text/markdown",
    "txt": "text/plain",
    "log": "text/plain",
    "vcf": "text/x-vcard",
    "yaml": "text/yaml",
    "yml": "text/yaml",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


def name_attachment(meta: dict[str, Any], names: Names) -> None:
    """Complete what an attachment says of itself."""
    kind = meta.get("contentType")
    name = meta["generatedFileName"] = _unique(_own_name(meta.get("fileName"), kind), names)
    meta["contentId"] = meta.get("contentId") or f"{_digest(name.encode('utf-8', 'replace'))}@mailparser"
    if kind == "application/octet-stream":
        meta["contentType"] = _TYPES.get(name.rpartition(".")[2].lower(), kind)


def finished(meta: dict[str, Any], content: bytes) -> dict[str, Any]:
    """The attachment as MailDev's API describes it."""
    measured = {"checksum": _digest(content)} | ({"length": len(content)} if content else {})
    suffix = re.search(r"(?<!^)\.[^.]*\Z", meta["generatedFileName"])
    stored = _digest(meta["contentId"].encode("utf-8", "replace")) + (suffix[0] if suffix else "")
    return {**meta, **measured, "transformed": True, "generatedFileName": stored}


def content_of(lines: list[str], encoding: str | None) -> bytes:
    """The bytes of an attachment."""
    if encoding == "base64":
        letters = re.sub(r"[^\w+/=]", "", "".join(lines), flags=re.ASCII)
        return from_base64(letters[: len(letters) - len(letters) % 4])  # letters that are no whole group are lost there, too
    if encoding == "quoted-printable":
        return from_quoted_printable("\r\n".join(lines[1:] if lines[:1] == [""] else lines))
    return "\r\n".join(lines).encode("latin-1")


def _own_name(name: str | None, kind: str | None) -> str:
    suffix = next((f".{suffix}" for suffix, known in _TYPES.items() if known == kind), "")
    last = re.split(r"[/\\]+", name or f"attachment{suffix}")[-1]
    return last.lstrip(".") or "attachment"


def _unique(name: str, names: Names) -> str:
    root = re.sub(r"(?:-\d+)+(\.[^.]*)\Z", r"\1", name) or "attachment"
    names[root] = names.get(root, -1) + 1
    if not names[root]:
        return name
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}-{names[root]}.{suffix}" if dot else f"{name}-{names[root]}"


def _digest(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()
