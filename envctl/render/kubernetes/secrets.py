"""Passwords live in Secrets only: what contains one is composed of references to them.

Kubernetes replaces `$(NAME)` in `env`, `command` and `args` by the variable NAME that is defined before, and `$$` by `$`; nothing else.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, groupby
from os.path import commonprefix
from typing import Any, NamedTuple
from urllib.parse import quote

from envctl.definition.source import walk
from envctl.plan.model import Plan

_SECRET_NAMES = re.compile("passw|secret", re.IGNORECASE)
VARIABLE = "ENVCTL_SECRET_"


class Vault(NamedTuple):
    """Every secret text of a plan and the key under which Secrets hold it."""

    keys: Mapping[str, str]
    pattern: re.Pattern[str] | None

    def hidden(self, text: str) -> bool:
        return self.pattern is not None and self.pattern.search(text) is not None

    def pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """*text* in pieces, with whether each is a secret; the longest one wins where several begin."""
        pieces = self.pattern.split(text) if self.pattern else [text]  # every second one is what its group has matched
        return ((piece, number % 2 == 1) for number, piece in enumerate(pieces) if piece)


def vault_of(plan: Plan) -> Vault:
    named: dict[str, str] = {}
    for key, text in _named(plan):
        named.setdefault(text, key)
    texts = {*plan.secrets, *(quote(text, safe="") for text in named), *named} - {""}
    found: dict[str, str] = {text: named[text] for text in sorted(texts) if text in named}
    encoded = {quote(text, safe=""): key for text, key in named.items()}
    for text in sorted(texts - set(found)):
        found[text] = f"{encoded[text]}.url" if text in encoded else f"secret-{len(found) + 1}"
    taken: set[str] = set()
    found = {text: unused(key, taken) for text, key in found.items()}
    return Vault(found, re.compile(f"({one_of(sorted(found))})") if found else None)


def one_of(texts: Sequence[str]) -> str:
    """An expression for the longest of *texts*, branching at each letter: trying a thousand of them everywhere would take seconds."""
    common = commonprefix(texts)  # noqa: RUF071  of letters is what is meant
    rest = [text[len(common) :] for text in texts]
    branches = [one_of(list(group)) for _, group in groupby(filter(None, rest), key=lambda text: text[0])]
    return re.escape(common) + (f"(?:{'|'.join(branches)}){'?' if '' in rest else ''}" if branches else "")


def _named(plan: Plan) -> Iterator[tuple[str, str]]:
    """Keys and texts: what properties call a password, then what a variable holds and is one of the plan's secrets."""
    for service in plan.services.values():
        for path, text in walk(service.inside):
            if isinstance(text, str) and text and (text in plan.secrets or _SECRET_NAMES.search(str(path[-1]))):
                yield key_of(service.name, *map(str, path)), text
    for service in plan.services.values():
        yield from ((key_of(service.name, name), text) for name, text in service.env.items() if text in plan.secrets)


def unused(stem: str, taken: set[str]) -> str:
    """*stem*, or with the first number behind it that makes it none of those *taken*, which it is from then on."""
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    own = next(name for name in names if name not in taken)
    taken.add(own)
    return own


def key_of(*words: str) -> str:
    """The words as a key of a Secret or ConfigMap."""
    return ".".join(re.sub(r"[^-._a-zA-Z0-9]+", "-", word).strip("-") or "x" for word in words)[:200]


@dataclass
class Drawer:
    """What one service's Secret must hold: filled while its pod is made."""

    vault: Vault
    secret: str
    """The Secret's name."""
    held: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Key to content, and to what that is, for whoever fills a Secret by hand."""

    def put(self, key: str, content: bytes, what: str) -> dict[str, Any]:
        """A reference to *content*, which is in the Secret from now on."""
        self.held[key] = content, what
        return {"name": self.secret, "key": key}

    def note(self, *texts: str) -> None:
        """Secrets that somebody composes later."""
        for text in texts:
            for piece, hidden in self.vault.pieces(text):
                if hidden:
                    self.text(piece)

    def text(self, text: str) -> dict[str, Any]:
        """A reference to one of the vault's texts."""
        key = self.vault.keys[text]
        return self.put(key, text.encode(), "percent-encoded for URLs" if key.endswith(".url") else "as it is")

    def data(self) -> dict[str, str]:
        return {key: base64.b64encode(content).decode() for key, (content, _) in sorted(self.held.items())}


class Composer:
    """The variables and arguments of one container. Secrets become variables of their own, defined before all others."""

    def __init__(self, drawer: Drawer, env: Mapping[str, str]) -> None:
        self._drawer, self._env = drawer, env
        self._names: dict[str, str] = {}

    def env(self) -> list[dict[str, Any]]:
        """Every variable. To be called last: it begins with the secrets that anything here was composed of."""
        own = [self._variable(name, value) for name, value in self._env.items()]
        secrets = sorted((name, text) for text, name in self._names.items())
        return [*(self._secret(name, text) for name, text in secrets), *own]

    def word(self, text: str) -> str:
        """*text* as Kubernetes is to read it: literal, but for its secrets."""
        pieces = self._drawer.vault.pieces(text)
        return "".join(f"$({self._reference(piece)})" if hidden else piece.replace("$", "$$") for piece, hidden in pieces)

    def words(self, texts: Iterable[str]) -> list[str]:
        return [self.word(text) for text in texts]

    def _variable(self, name: str, value: str) -> dict[str, Any]:
        return self._secret(name, value) if value in self._drawer.vault.keys else {"name": name, "value": self.word(value)}

    def _secret(self, name: str, text: str) -> dict[str, Any]:
        return {"name": name, "valueFrom": {"secretKeyRef": self._drawer.text(text)}}

    def _reference(self, text: str) -> str:
        """The variable that holds *text*; a name that is taken gets another letter."""
        if text not in self._names:
            name = VARIABLE + re.sub(r"[^A-Z0-9]", "_", self._drawer.vault.keys[text].upper())
            while name in self._env or name in self._names.values():
                name += "_"
            self._names[text] = name
        return self._names[text]
