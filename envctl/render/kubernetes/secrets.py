"""Keep passwords in Secrets only: a text that contains a password refers to the Secret instead.

In `env`, `command` and `args`, Kubernetes replaces `$(NAME)` by the value of a variable that is defined earlier, and `$$` by `$`.
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
    """The secret texts of a plan, each with its key in Secrets, and a pattern that finds them."""

    keys: Mapping[str, str]
    pattern: re.Pattern[str] | None

    def hidden(self, text: str) -> bool:
        """Return whether *text* contains a secret."""
        return self.pattern is not None and self.pattern.search(text) is not None

    def pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """Yield the pieces of *text*, each with whether it is a secret. If several secrets begin at one place, the longest is found."""
        pieces = self.pattern.split(text) if self.pattern else [text]  # Every second piece is a match of the group.
        return ((piece, number % 2 == 1) for number, piece in enumerate(pieces) if piece)


def vault_of(plan: Plan) -> Vault:
    """Return the vault of all secrets in *plan*, including their percent-encoded forms in URLs."""
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
    """Return a regular expression for the longest of *texts*.

    It branches at each letter: trying a thousand alternatives at every position would take seconds.
    """
    common = commonprefix(texts)  # noqa: RUF071  a prefix of letters is meant
    rest = [text[len(common) :] for text in texts]
    branches = [one_of(list(group)) for _, group in groupby(filter(None, rest), key=lambda text: text[0])]
    return re.escape(common) + (f"(?:{'|'.join(branches)}){'?' if '' in rest else ''}" if branches else "")


def _named(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield keys and secret texts: first passwords in properties of services, then variables whose value is a secret of the plan."""
    for service in plan.services.values():
        for path, text in walk(service.inside):
            if isinstance(text, str) and text and (text in plan.secrets or _SECRET_NAMES.search(str(path[-1]))):
                yield key_of(service.name, *map(str, path)), text
    for service in plan.services.values():
        yield from ((key_of(service.name, name), text) for name, text in service.env.items() if text in plan.secrets)


def unused(stem: str, taken: set[str]) -> str:
    """Return *stem*, or *stem* with the first number that makes it unused, and add the result to *taken*."""
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    own = next(name for name in names if name not in taken)
    taken.add(own)
    return own


def key_of(*words: str) -> str:
    """Return *words* as a key of a Secret or ConfigMap."""
    return ".".join(re.sub(r"[^-._a-zA-Z0-9]+", "-", word).strip("-") or "x" for word in words)[:200]


@dataclass
class Drawer:
    """The content of one service's Secret. It is filled while the service's pod is rendered."""

    vault: Vault
    secret: str
    """The Secret's name."""
    held: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Keys, each with its content and a description for users who write the Secret themselves."""

    def put(self, key: str, content: bytes, what: str) -> dict[str, Any]:
        """Add *content* to the Secret and return a reference to it."""
        self.held[key] = content, what
        return {"name": self.secret, "key": key}

    def note(self, *texts: str) -> None:
        """Add the secrets in *texts* to the Secret, for containers that are rendered later."""
        for text in texts:
            for piece, hidden in self.vault.pieces(text):
                if hidden:
                    self.text(piece)

    def text(self, text: str) -> dict[str, Any]:
        """Add *text*, a secret of the vault, to the Secret and return a reference to it."""
        key = self.vault.keys[text]
        return self.put(key, text.encode(), "percent-encoded for URLs" if key.endswith(".url") else "as it is")

    def data(self) -> dict[str, str]:
        """Return the content of the Secret by key, in base64."""
        return {key: base64.b64encode(content).decode() for key, (content, _) in sorted(self.held.items())}


class Composer:
    """The variables and arguments of one container. Each secret in them becomes a variable of its own, defined before all others."""

    def __init__(self, drawer: Drawer, env: Mapping[str, str]) -> None:
        self._drawer, self._env = drawer, env
        self._names: dict[str, str] = {}

    def env(self) -> list[dict[str, Any]]:
        """Return all variables of the container. Call it last: the list begins with the secrets that `word` referred to."""
        own = [self._variable(name, value) for name, value in self._env.items()]
        secrets = sorted((name, text) for text, name in self._names.items())
        return [*(self._secret(name, text) for name, text in secrets), *own]

    def word(self, text: str) -> str:
        """Return *text* as Kubernetes must get it: with references in place of secrets, and everything else escaped."""
        pieces = self._drawer.vault.pieces(text)
        return "".join(f"$({self._reference(piece)})" if hidden else piece.replace("$", "$$") for piece, hidden in pieces)

    def words(self, texts: Iterable[str]) -> list[str]:
        """Return *texts*, each converted by `word`."""
        return [self.word(text) for text in texts]

    def _variable(self, name: str, value: str) -> dict[str, Any]:
        return self._secret(name, value) if value in self._drawer.vault.keys else {"name": name, "value": self.word(value)}

    def _secret(self, name: str, text: str) -> dict[str, Any]:
        return {"name": name, "valueFrom": {"secretKeyRef": self._drawer.text(text)}}

    def _reference(self, text: str) -> str:
        """Return the name of the variable that holds the secret *text*. If the name is in use, `_` is appended."""
        if text not in self._names:
            name = VARIABLE + re.sub(r"[^A-Z0-9]", "_", self._drawer.vault.keys[text].upper())
            while name in self._env or name in self._names.values():
                name += "_"
            self._names[text] = name
        return self._names[text]
