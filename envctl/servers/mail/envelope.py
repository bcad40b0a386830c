"""What MAIL and RCPT say: an address and its parameters, as MailDev keeps them."""

from __future__ import annotations

import re
from typing import Any

_COMMAND = re.compile(r"\s*<([^<>\s]*)>(?:\s+(.*))?")
_SOURCE_ROUTE = re.compile(r"@[^\s,:@]+(?:,@[^\s,:@]+)*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\ud800-\udfff]")
_DOMAIN = re.compile(r"[a-zA-Z0-9\x80-\uffff.-]+|\[[0-9.]+\]|\[IPv6:[0-9a-fA-F:.]+\]", re.IGNORECASE)
_BAD_DOTS = re.compile(r"^\.|\.$|\.\.|\.-|-\.")


def parse_path(text: str) -> dict[str, Any] | None:
    """`<address> KEY=value FLAG`; None where it is none, an empty address where it is the null sender."""
    found = _COMMAND.fullmatch(text)
    address = _SOURCE_ROUTE.sub("", found[1], count=1) if found else ""
    if not found or _CONTROL.search(text) or (address and not _is_address(address)):
        return None
    return {"address": _readable(address), "args": _parameters(found[2] or "") or False}


def _is_address(address: str) -> bool:
    local, _, domain = address.partition("@")
    if address.lower() == "postmaster":
        return True
    dotted = local.startswith(".") or local.endswith(".") or ".." in local or _BAD_DOTS.search(domain)
    return bool(local) and not dotted and len(address) <= 253 and _DOMAIN.fullmatch(domain) is not None


def _readable(address: str) -> str:
    local, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    try:
        return f"{local}@{domain.encode('ascii').decode('idna')}"
    except UnicodeError:
        return address


def _parameters(text: str) -> dict[str, str | bool]:
    pairs = (parameter.partition("=") for parameter in text.split())
    return {name.upper(): _unescaped(value) if value else True for name, _, value in pairs}


def _unescaped(value: str) -> str:
    return re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), value)
