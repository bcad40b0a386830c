"""Load mappings from JSON files, or from folders with WireMock's layout of `mappings/` and `__files/`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .mappings import Mapping, parse_mapping
from .parsing import Refusal, kind_of

FILES = "__files"
"""The name of the folder with body files."""

_FILE_KEYS = {"mappings", "meta", "importOptions", "$schema"}


class MappingError(Exception):
    """Mapping files have mistakes.

    Attributes:
        messages: one line for each mistake.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = list(messages)


Reader = Callable[[Path], bytes]
"""Returns the content of a file; raises OSError if it cannot be read."""


def load(paths: Iterable[str | os.PathLike[str]], read: Reader = Path.read_bytes) -> list[Mapping]:
    """Load all mappings of files and folders, in their order.

    Args:
        read: returns the content of a file.

    Raises:
        MappingError: with all mistakes in all files.
    """
    messages: list[str] = []
    mappings: list[Mapping] = []
    for route, file in _files([Path(path) for path in paths], messages):
        try:
            mappings += _load_file(file, files_folders(route, file), messages, read)
        except Refusal as refusal:
            messages += refusal.problems
    messages += _repeated_ids(mappings)
    if messages:
        raise MappingError(messages)
    return mappings


def files_folders(route: Path, file: Path) -> list[Path]:
    """Return the folders that may contain the body files of a mapping file, in the order of the search.

    They are the folders `__files` beside the mapping file and in each folder above it, up to the one beside *route*.

    Args:
        route: the file or folder that was given to `load`.
        file: the mapping file, which is *route* or is in it.
    """
    start, top = Path(os.path.abspath(file)), Path(os.path.abspath(route)).parent
    if not route.is_dir():
        top = top.parent
    folders: list[Path] = []
    for folder in (start, *start.parents):
        if folder.is_dir():
            folders.append(folder / FILES)
        if folder == top:
            break
    return folders


def read_body_file(name: str, folders: Iterable[Path], read: Reader = Path.read_bytes) -> bytes:
    """Return the content of a body file, from the first folder that contains it.

    Raises:
        Refusal: the file is missing, outside of the folders, or unreadable.
    """
    if os.path.isabs(name) or ".." in Path(name).parts:
        raise Refusal(f"{name!r} is outside of {FILES}")
    tried = [folder / name for folder in folders]
    for path in tried:
        if path.is_file():
            return _read(path, read)
    raise Refusal(f"no file {name!r}; looked for {', '.join(map(str, tried))}")


def _files(routes: Iterable[Path], messages: list[str]) -> Iterator[tuple[Path, Path]]:
    seen: set[Path] = set()
    for route in routes:
        found = list(_json_files(route)) if route.is_dir() else [route]
        if not route.exists():
            messages.append(f"{route}: no such file or folder")
        elif not found:
            messages.append(f"{route}: no *.json in this folder")
        for file in found:
            if file.exists() and file.resolve() not in seen:
                seen.add(file.resolve())
                yield route, file


def _json_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        # Kubernetes mounts a ConfigMap as links to copies of its files in folders whose names begin with dots.
        folders[:] = sorted(name for name in folders if name != FILES and not name.startswith("."))
        for name in sorted(names):
            if name.endswith(".json") and not name.startswith("."):
                yield Path(parent, name)


def _load_file(file: Path, folders: list[Path], messages: list[str], read: Reader) -> list[Mapping]:
    mappings: list[Mapping] = []
    for number, spec in enumerate(_specs(file, read), start=1):
        origin = f"{file}: mapping {number}"
        try:
            mappings.append(parse_mapping(spec, origin, lambda name: read_body_file(name, folders, read)))
        except Refusal as refusal:
            messages += [f"{origin}{_name_of(spec)}: {problem}" for problem in refusal.problems]
        except RecursionError:
            messages.append(f"{origin}{_name_of(spec)}: nested too deeply")
    return mappings


def _specs(file: Path, read: Reader) -> list[object]:
    content = _parse(file, read)
    if isinstance(content, dict) and "mappings" in content:
        strangers = sorted(content.keys() - _FILE_KEYS)
        if strangers:
            raise Refusal(f"{file}: unknown key {strangers[0]!r} beside 'mappings'")
        content = content["mappings"]
    elif isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise Refusal(f'{file}: must be a mapping, a list of them or {{"mappings": [...]}}, not {kind_of(content)}')
    return content


def _parse(file: Path, read: Reader) -> object:
    try:
        content: object = json.loads(_read(file, read).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Refusal(f"{file}: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Refusal(f"{file}:{error.lineno}: not valid JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{file}: not valid JSON: {error}") from None
    return content


def _read(file: Path, read: Reader) -> bytes:
    try:
        return read(file)
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from None


def _name_of(spec: object) -> str:
    name = spec.get("name") if isinstance(spec, dict) else None
    return f" ({name})" if isinstance(name, str) and name else ""


def _repeated_ids(mappings: Iterable[Mapping]) -> Iterator[str]:
    first: dict[str, Mapping] = {}
    for mapping in mappings:
        other = first.setdefault(mapping.id, mapping)
        if other is not mapping:
            yield f"{mapping.origin}{_name_of(mapping.source)}: id {mapping.id!r} is taken by {other.origin}"
