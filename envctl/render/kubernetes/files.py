"""Render the files of a service: as ConfigMaps, or in the service's Secret if they contain secrets, and with their mounts."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from envctl.errors import UsageError
from envctl.plan.model import File, ServicePlan
from envctl.render.kubernetes.secrets import Drawer, key_of, unused

LIMIT = 1 << 20
"""The largest size of a ConfigMap or Secret in bytes, which the API server enforces."""
APPLIED = 200_000
"""The largest JSON that plain `kubectl apply` accepts, in bytes: it keeps a copy in an annotation, which is limited to 256 KiB."""
OURS = "/opt/envctl-"
"""The prefix of folders that no image contains. They are mounted as a whole; in other folders, each file is mounted separately."""
SECRETS = "/run/secrets/"
"""The folder in which Compose mounts secrets."""
READ, RUN = 0o444, 0o555


@dataclass(frozen=True)
class Entry:
    """A file of a service, with its key in a ConfigMap or Secret."""

    path: str
    key: str
    content: bytes
    executable: bool
    secret: bool

    @cached_property
    def size(self) -> int:
        """The size of the content in JSON, in bytes."""
        text = self.text
        return len(json.dumps(text)) if text is not None else len(self.content) * 4 // 3 + 4

    @property
    def text(self) -> str | None:
        """The content as text; None if it is not UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return None


class Filed(NamedTuple):
    """The files of a service as ConfigMaps, with the volumes and mounts of its pod."""

    maps: Mapping[str, Sequence[Entry]]
    """The entries of each ConfigMap, by the ConfigMap's name."""
    volumes: Sequence[dict[str, Any]]
    mounts: Sequence[dict[str, Any]]
    large: Sequence[Entry]
    """The entries that are too large for plain `kubectl apply`."""


def entries(service: ServicePlan, files: Mapping[str, File], drawer: Drawer) -> Iterator[Entry]:
    """Yield an entry for each file, with its content.

    Raises:
        UsageError: a file is too large for Kubernetes, or its path contains a colon.
    """
    taken: set[str] = set()
    for given, file in files.items():
        path = "/" + given.lstrip("/")
        if (size := file.size) > LIMIT:
            raise UsageError(
                f"{service.name}: {path} has {size >> 10} KiB, and a file on Kubernetes may have 1024",
                hint="put it into the image (`build:`)",
            )
        if ":" in path:
            raise UsageError(f"{service.name}: {path} cannot be mounted on Kubernetes: a path there has no colon")
        content = file.content
        yield Entry(path, _key(path, taken), content, _executable(file), _secret(given, file, content, drawer))


def _executable(file: File) -> bool:
    return file.text is None and file.source is not None and bool(file.source.stat().st_mode & 0o111)


def _secret(path: str, file: File, content: bytes, drawer: Drawer) -> bool:
    texts = (content.decode("latin-1"), content.decode("utf-8", "replace"))
    return path.startswith(SECRETS) or file.secret or any(map(drawer.vault.hidden, texts))


def _key(path: str, taken: set[str]) -> str:
    stem = re.sub(r"[^-._a-zA-Z0-9]+", "_", path.strip("/"))[-120:].lstrip("._-") or "file"
    return unused(stem, taken)


def filed(service: ServicePlan, files: Mapping[str, File], drawer: Drawer, map_name: str) -> Filed:
    """Return the files of *service* as ConfigMaps and mounts. The ConfigMaps are named *map_name*, *map_name*-2 and so on.

    Raises:
        UsageError: the files are too large for Kubernetes, or a path contains a colon.
    """
    found = list(entries(service, files, drawer))
    groups = _packed(entry for entry in found if not entry.secret)
    maps = {map_name if number == 1 else f"{map_name}-{number}": group for number, group in enumerate(groups, 1)}
    where = {entry.path: name for name, group in maps.items() for entry in group}
    sources = [_source(service, entry, where.get(entry.path), drawer) for entry in found]
    if sum(entry.size for entry in found if entry.secret) > LIMIT:
        raise UsageError(f"{service.name}: its files with passwords have more than the 1024 KiB of a Secret")
    return Filed(maps, *_mounted(sources), [entry for entry in found if entry.size > APPLIED])


def _packed(found: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield groups of entries, sorted by path; a group is as large as plain `kubectl apply` allows."""
    group: list[Entry] = []
    for entry in sorted(found, key=lambda entry: entry.path):
        if group and sum(each.size for each in group) + entry.size > APPLIED:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


class _Source(NamedTuple):
    entry: Entry
    kind: str
    name: str
    key: str


def _source(service: ServicePlan, entry: Entry, config_map: str | None, drawer: Drawer) -> _Source:
    if config_map is not None:
        return _Source(entry, "configMap", config_map, entry.key)
    reference = drawer.put(key_of(service.name, "file", entry.key), entry.content, f"the file {entry.path}")
    return _Source(entry, "secret", reference["name"], reference["key"])


def _mounted(sources: Sequence[_Source]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    folders: dict[str, list[_Source]] = {}
    nested = {_own_folder(source.entry.path) for source in sources if len(PurePosixPath(source.entry.path).parts) > 4}
    singles: dict[tuple[str, str, bool], list[_Source]] = {}
    for source in sources:
        folder = _own_folder(source.entry.path)
        if folder and folder not in nested:
            folders.setdefault(folder, []).append(source)
        else:
            singles.setdefault((source.kind, source.name, source.entry.executable), []).append(source)
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    for number, (folder, group) in enumerate(folders.items()):
        volumes.append(_folder(f"folder-{number}", folder, group))
        mounts.append({"name": f"folder-{number}", "mountPath": folder, "readOnly": True})
    for number, ((kind, name, executable), group) in enumerate(singles.items()):
        volumes.append(_volume(f"files-{number}", kind, name, executable, group))
        mounts += [{"name": f"files-{number}", "mountPath": s.entry.path, "subPath": s.key, "readOnly": True} for s in group]
    return volumes, mounts


def _own_folder(path: str) -> str:
    """Return the folder that is mounted as a whole for *path*; empty if the image may contain the folder.

    A folder with subfolders is not mounted as a whole: its entries would be symbolic links to folders, which few programs follow.
    """
    parts = PurePosixPath(path).parts
    return "/".join(("", *parts[1:3])) if path.startswith(OURS) and len(parts) > 3 else ""


def _folder(name: str, folder: str, group: list[_Source]) -> dict[str, Any]:
    by_source: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for source in group:
        mode = {"mode": RUN} if source.entry.executable else {}
        item = {"key": source.key, "path": source.entry.path.removeprefix(folder + "/"), **mode}
        by_source.setdefault((source.kind, source.name), []).append(item)
    sources = [{kind: {"name": source, "items": items}} for (kind, source), items in by_source.items()]
    return {"name": name, "projected": {"defaultMode": READ, "sources": sources}}


def _volume(name: str, kind: str, source: str, executable: bool, group: list[_Source]) -> dict[str, Any]:
    """Return a volume. Of a Secret, it contains only the keys that are mounted as files."""
    mode = {"defaultMode": RUN if executable else READ}
    if kind == "configMap":
        return {"name": name, "configMap": {"name": source, **mode}}
    items = [{"key": each.key, "path": each.key} for each in group]
    return {"name": name, "secret": {"secretName": source, **mode, "items": items}}


def config_maps(filed: Filed) -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    """Yield the name, the texts and the binary data (in base64) of each ConfigMap."""
    for name, group in filed.maps.items():
        texts = {entry.key: entry.text for entry in group if entry.text is not None}
        binaries = {entry.key: base64.b64encode(entry.content).decode() for entry in group if entry.text is None}
        yield name, texts, binaries
