"""Host names in a text. The characters around a word decide whether it is one, because `db` may also be the name of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

_WORD = re.compile(r"[\w.-]+")
_NEAR = 200
"""The number of characters before and after a word that are examined."""
_KEY = re.compile(
    r"(?<!ALLOWED_)(?<!TRUSTED_)(?<!VIRTUAL_)(?:HOSTS?|HOSTNAMES?|SERVERS?|ADDR|ADDRESS|UR[LI]S?|ENDPOINTS?|BROKERS?|DSN)\d*$",
    re.IGNORECASE,
)
"""Matches variables whose whole value may be a host: not `DB_SERVER_TYPE`, and not `ALLOWED_HOSTS`, which lists a server's own names."""
_NO_ADDRESS = re.compile(r"(?:IMAGE|TAG|VERSION)$", re.IGNORECASE)
_ENDS = re.compile(r"[:/?#,;\s\"'`()\[\]{}<>|&\\]|$")
_IN_URL = re.compile(r"(?<![\w./-])//(?:[^/\s\"']*[@,(])?$")
_IS_USER = re.compile(r"[^/?#\s\"',]*@")
_AT = re.compile(r"(?P<before>[^\s\"'`]*[^\s\"'`:/=,;(\[{])@$")
_PATH = re.compile(r"//[^/]*/")
_PORT = re.compile(r":(\d{1,5})(?![\w@-]|\.\w)")
_WORD_AND_PORT = re.compile(r"(?::|\s+)(\d{1,5})(?![\w@-]|\.\w)")
_NAME = r"(?:hosts?|hostname|hostaddr|servers?|addr|address|endpoints?|brokers?|data ?source)"
_EQUALS = re.compile(rf"{_NAME}\s*=\s*[\"']?(?:[\w.:-]+,)*(?:tcp:)?$", re.IGNORECASE)
_JSON = re.compile(rf"{_NAME}\\?[\"']\s*:\s*(?:\[(?:\s*\\?[\"'][^\"']*[\"']\s*,)*)?\s*\\?[\"'](?:tcp:)?$", re.IGNORECASE)
_FLAG = re.compile(rf"(?:^|\s)(?:-h|--?[\w-]*(?:{_NAME}|ur[li]))\s+[\"']?$", re.IGNORECASE)


class Host(Protocol):
    """A service with a name and with ports on which it listens."""

    @property
    def name(self) -> str: ...
    @property
    def ports(self) -> Sequence[int]: ...


H = TypeVar("H", bound=Host)


class _Place(NamedTuple):
    key: str
    before: str
    after: str
    command: bool


def named(text: str, hosts: Mapping[str, Sequence[H]], *, key: str = "", command: bool = False) -> list[H]:
    """Return those of *hosts* whose address *text* contains, each once, in order.

    Args:
        hosts: lower-case names, each with the services that it reaches: DNS ignores case and a final dot.
        key: the variable that contains the text; its last word tells whether a bare name is an address.
        command: whether the text is a command, in which `-h db` and `db 5432` are addresses.
    """
    found: dict[str, H] = {}
    for word in _WORD.finditer(text):
        for host in hosts.get(word[0].lower().removesuffix("."), ()):
            start, end = word.span()
            place = _Place(key, text[max(0, start - _NEAR) : start], text[end : end + _NEAR], command)
            if host.name not in found and _is_address(place, host.ports):
                found[host.name] = host
    return list(found.values())


def _is_variable_of_address(key: str) -> bool:
    return _KEY.search(key) is not None


def _is_address(place: _Place, ports: Sequence[int]) -> bool:
    if _has_port(place, ports):
        return True
    if not _ENDS.match(place.after):
        return False
    pair = _EQUALS.search(place.before) or _JSON.search(place.before) or (place.command and _FLAG.search(place.before))
    return bool(pair) or _in_url(place) or _behind_user(place) or _is_whole(place)


def _has_port(place: _Place, ports: Sequence[int]) -> bool:
    """Return whether a port follows: one of *ports*, or any if *ports* is empty or the variable is one for addresses."""
    found = (_WORD_AND_PORT if place.command else _PORT).match(place.after)
    if found is None or place.before.endswith("/"):
        return False
    unknown = not ports and len(found[1]) > 3 and found[0].startswith(":") and not _NO_ADDRESS.search(place.key)
    return int(found[1]) in ports or unknown or _is_variable_of_address(place.key)


def _in_url(place: _Place) -> bool:
    return _IN_URL.search(place.before) is not None and not _IS_USER.match(place.after)


def _behind_user(place: _Place) -> bool:
    """Return whether a user name precedes the host: `app:secret@db`, `app@db/shop`; not `me@db` (e-mail) or `@db/client` (a package)."""
    found = _AT.search(place.before) if place.before.endswith("@") else None
    if found is None or _PATH.search(found["before"]) or "mailto:" in found["before"].lower():
        return False
    return ":" in found["before"] or "/" in found["before"] or re.match(r"[:/]\w", place.after) is not None


def _is_whole(place: _Place) -> bool:
    before, after = place.before.strip(), place.after.strip()
    alone = (not before or before[-1] in ",;") and (not after or after[0] in ",;")
    return alone and _is_variable_of_address(place.key)
