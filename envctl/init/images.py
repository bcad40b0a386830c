"""Turn containers that the project itself starts into proposed servers: kind, version, credentials and databases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from envctl.definition.compose_services import Recognised
from envctl.definition.kinds import load_kinds, recogniser
from envctl.init.compose import USED_LIKE, image_name
from envctl.init.model import KnownServer, SeenServer

_OF_CI = re.compile(r"^(?:cimg|circleci|bitnami|bitnamilegacy|library|public\.ecr\.aws/docker/library|mirror\.gcr\.io/library)/")
SAME_SERVER = ("postgis/postgis", "pgvector/pgvector", "timescale/timescaledb")
"""Images that extend the image of a kind and are started in the same way. The proposal keeps them instead of the kind's own image."""


def known_servers(root: Path, seen: Iterable[SeenServer]) -> list[KnownServer]:
    """Return the servers among *seen*, at most one of each kind: the first.

    Args:
        root: the project's folder, which may define kinds of its own.
    """
    kinds = load_kinds(root)
    recognise = recogniser(kinds)
    found: dict[str, KnownServer] = {}
    for server in seen:
        name, tag = _OF_CI.sub("", image_name(server.image)), _tag(server.image)
        known = recognise(f"{name}:{tag}")
        if known is not None:
            is_own, is_known = kinds[known.kind].image == name, _is_known(tag, kinds[known.kind].versions)
            version = tag if is_own and is_known else ""
            image = server.image if name in SAME_SERVER else f"{name}:{tag}" if is_own and tag[:1].isdigit() and not is_known else ""
            parameters = dict(_parameters(server.environment, known))
            found.setdefault(known.kind, KnownServer(server, known.kind, version, image, parameters))
        elif kind := USED_LIKE.get(name):
            found.setdefault(kind, KnownServer(server, kind, "", server.image if tag else "", {}))
    return list(found.values())


def _is_known(tag: str, versions: Iterable[str]) -> bool:
    return any(re.match(rf"{re.escape(version)}(?!\d)", tag) for version in versions)


def _tag(image: str) -> str:
    match = re.search(r":([^/:]+)$", image.partition("@")[0])
    return match[1] if match else ""


def _parameters(environment: Mapping[str, str], known: Recognised) -> Iterator[tuple[str, str]]:
    """Yield the credentials and other parameters that the environment variables set.

    A user name counts only together with a password, and a database only if it differs from the image's default.
    """
    given = {name: _first(places, environment) for name, places in known.parameters.items()}
    for name, value in given.items():
        if (
            value
            and (name != "username" or given.get("password"))
            and not (name in known.several and _is_default(known, name, value, environment))
        ):
            yield name, value


def _first(places: Sequence[str], environment: Mapping[str, str]) -> str:
    return next((text for place in places if (text := place[1:] if place.startswith("=") else environment.get(place, ""))), "")


def _is_default(known: Recognised, name: str, value: str, environment: Mapping[str, str]) -> bool:
    """Return whether *value* is the default of the image: no environment variable sets it, so the definition does not need it."""
    return not any(environment.get(place) == value for place in known.parameters[name])
