"""The hash of a seed step: of everything that its result depends on, in its order, and of nothing secret."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib import metadata
from io import BufferedReader
from pathlib import Path
from typing import Any

from envctl.definition.kinds import Kind
from envctl.definition.models import Service
from envctl.definition.yaml_parser import WrittenFloat, WrittenInt
from envctl.files.reading import open_file
from envctl.plan.known_digests import KnownDigests
from envctl.plan.model import File
from envctl.plan.reading import Reading
from envctl.plan.referenced_services import Subject

MAKES_DATA = {"entrypoint", "command", "env", "files", "mounts", "setup", "seeds", "local"}
"""What of a kind has a say in the data of its server."""


def server_hash(reading: Reading, subject: Subject, service: Service, kind: Kind, image: str, files: Mapping[str, File]) -> str:
    """What the server itself makes of its data; credentials change nothing of it, and must not be found out by it.

    Args:
        image: with its tag or digest.
        files: those of the project in its container, by their paths.
    """
    several = {key: {name: _public(subject, given) for name, given in items.items()} for key, items in subject.several.items()}
    own = service.model_dump(mode="json", include={"env", "run", "command", "shell"})
    made = kind.model_dump(mode="json", include=MAKES_DATA)
    content = [(path, file.digest) for path, file in sorted(files.items())]
    return chained(reading, subject.kind.kind, made, image, _public(subject, subject.parameters), several, own, content)


def _public(subject: Subject, given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in subject.kind.credentials and "password" not in key}


def chained(reading: Reading, *parts: Any) -> str:
    """Of texts as they are written: a reference counts as itself, not with the address or password that it leads to."""
    text = json.dumps(_written(parts), default=str)  # in their order: it is that of the data
    for secret in sorted(reading.loaded.secrets):
        text = text.replace(secret, "")
    return hashlib.sha256(text.encode()).hexdigest()


def _written(value: Any) -> Any:
    """Numbers as they are written: 1.10 may go into a text."""
    if isinstance(value, WrittenInt | WrittenFloat):
        return {"written": value.text}
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    return [_written(item) for item in value] if isinstance(value, list | tuple) else value


def entries(
    root: Path, found: Iterable[tuple[Path, Path]], digests: KnownDigests, fits: Callable[[Path, BufferedReader], bool] | None = None
) -> Iterator[tuple[str, str]]:
    """Of each folder and a file below it: the path from there, and a hash of the content.

    Args:
        fits: whether a file is what it should be; not asked of what is known.

    Raises:
        FileRefused, OSError: as by `open_file`.
    """
    for folder, path in found:
        with open_file(path, root) as stream:
            yield Path(os.path.relpath(path, folder)).as_posix(), digests.of(stream, partial(fits, path) if fits else None)


@cache
def faker_version() -> str | None:
    """Another version may make other rows of the same number; None where there is none."""
    try:
        return metadata.version("Faker")
    except metadata.PackageNotFoundError:
        return None
