"""The hash of a seed step: everything that affects its result, in order, and nothing secret."""

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
"""The fields of a kind that affect the data of its server."""


def server_hash(reading: Reading, subject: Subject, service: Service, kind: Kind, image: str, files: Mapping[str, File]) -> str:
    """Return the hash of everything in the server itself that affects its data. Credentials are left out: the hash must not reveal them.

    Args:
        image: the image with its tag or digest.
        files: the project's files in the container, by their paths there.
    """
    several = {key: {name: _public(subject, given) for name, given in items.items()} for key, items in subject.several.items()}
    own = service.model_dump(mode="json", include={"env", "run", "command", "shell"})
    made = kind.model_dump(mode="json", include=MAKES_DATA)
    content = [(path, file.digest) for path, file in sorted(files.items())]
    return chained(reading, subject.kind.kind, made, image, _public(subject, subject.parameters), several, own, content)


def _public(subject: Subject, given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in subject.kind.credentials and "password" not in key}


def chained(reading: Reading, *parts: Any) -> str:
    """Return the hash of *parts* as the definition has them: a reference counts as text, without the address or password behind it."""
    text = json.dumps(_written(parts), default=str)  # keys are not sorted, because their order is the order of the data
    for secret in sorted(reading.loaded.secrets):
        text = text.replace(secret, "")
    return hashlib.sha256(text.encode()).hexdigest()


def _written(value: Any) -> Any:
    """Return *value* with numbers as the definition has them, because a text may contain `1.10`."""
    if isinstance(value, WrittenInt | WrittenFloat):
        return {"written": value.text}
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    return [_written(item) for item in value] if isinstance(value, list | tuple) else value


def entries(
    root: Path, found: Iterable[tuple[Path, Path]], digests: KnownDigests, fits: Callable[[Path, BufferedReader], bool] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield, for each folder and a file below it, the file's path relative to the folder and the hash of its content.

    Args:
        fits: returns whether a file has the expected format; not called for a file whose hash is remembered.

    Raises:
        FileRefused, OSError: as in `open_file`.
    """
    for folder, path in found:
        with open_file(path, root) as stream:
            yield Path(os.path.relpath(path, folder)).as_posix(), digests.of(stream, partial(fits, path) if fits else None)


@cache
def faker_version() -> str | None:
    """Return the version of Faker; None if it is not installed. Another version may generate other rows from the same random seed."""
    try:
        return metadata.version("Faker")
    except metadata.PackageNotFoundError:
        return None
