"""List and remove snapshots, and move them to another machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from envctl.definition.find import project_of
from envctl.engines import KeptData, open_engine, open_engines
from envctl.engines.choice import known_locations
from envctl.errors import EnvctlError, UsageError
from envctl.files.reading import open_file, read_file
from envctl.files.writing import check_file, root_of, write_file
from envctl.instance.codec import Malformed, decode, encode
from envctl.instance.folder import snapshots_folder
from envctl.instance.record import Location
from envctl.session import Session
from envctl.snapshots.index import Entry, Index
from envctl.snapshots.settings import max_size

MANIFEST = "snapshots.json"
LARGEST_MANIFEST = 10_000_000
"""The maximum size in bytes of the list of exported snapshots."""


Unseen = Callable[[str], None]
"""A function that receives a message for each engine that does not answer."""


def _unheard(_: str) -> None:
    """Ignore the message."""


class Kept(NamedTuple):
    """A snapshot, with the time of its last use in seconds since 1970."""

    entry: Entry
    used: float


def index_of(session: Session) -> Index:
    """Return the index of this user's snapshots."""
    return Index(snapshots_folder(session.environ))


def _engines(session: Session, entries: Sequence[Entry], unseen: Unseen) -> dict[Location, KeptData]:
    """Return the engines of *entries* that answer; call *unseen* for the rest."""
    found: dict[Location, KeptData] = {}
    for place, engine in open_engines([*dict.fromkeys(map(_place, entries))], session.host).items():
        if isinstance(engine, EnvctlError):
            unseen(f"{engine.message}; envctl cannot tell which snapshots are kept there")
        elif isinstance(engine, KeptData):
            found[place] = engine
    return found


def _place(entry: Entry) -> Location:
    return Location(entry.engine, entry.place or None)


class _Kept:
    """All snapshots in the index that still exist, and the engines that have answered."""

    def __init__(self, session: Session, unseen: Unseen) -> None:
        self.index, self.all = index_of(session), list[Kept]()
        entries = self.index.all()
        self.engines = _engines(session, [entry for entry, _ in entries], unseen)
        for entry, used in entries:
            engine = self.engines.get(_place(entry))
            if engine is not None and not engine.has(entry.ref, entry.content):
                self.index.forget(entry)
            else:
                self.all.append(Kept(entry, used))

    def remove(self, entry: Entry) -> bool:
        """Remove a snapshot and return whether it was removed.

        The snapshot leaves the index first, so that no instance starts from it in the meantime; if it is in use, it returns to the index.
        """
        engine = self.engines.get(_place(entry))
        if engine is None:
            return False
        self.index.forget(entry)
        if engine.remove_kept(entry.ref):
            return True
        self.index.add(entry)
        return False


def listed(session: Session, unseen: Unseen = _unheard) -> list[Kept]:
    """Return the existing snapshots, the most recently used first; forget those that were removed by other programs."""
    return _Kept(session, unseen).all


def evict(session: Session, unseen: Unseen = _unheard) -> list[Entry]:
    """Remove the least recently used snapshots until the rest fits the size limit, and return them; snapshots in use stay."""
    found, limit = _Kept(session, unseen), max_size(session)
    room = sum(kept.entry.size for kept in found.all)
    removed = []
    for kept in reversed(found.all):
        if room > limit and found.remove(kept.entry):
            room -= kept.entry.size
            removed.append(kept.entry)
    return removed


def prune(session: Session, unseen: Unseen = _unheard) -> list[Entry]:
    """Remove all snapshots that no instance uses, and return them."""
    found = _Kept(session, unseen)
    return [kept.entry for kept in found.all if found.remove(kept.entry)]


def sweep(session: Session) -> list[str]:
    """Remove incomplete snapshots, except those that are being made; return their names at the engines."""
    index, removed = index_of(session), []
    known = {entry.ref for entry, _ in index.all()}
    for engine in open_engines(known_locations(session), session.host).values():
        if isinstance(engine, KeptData):
            removed += [ref for ref, key in engine.kept() if ref not in known and _swept(index, engine, ref, key)]
    return removed


def _swept(index: Index, engine: KeptData, ref: str, key: str) -> bool:
    with index.building(key) as free:
        return free and engine.remove_kept(ref)


def export(session: Session, folder: Path, unseen: Unseen = _unheard) -> list[Entry]:
    """Write all snapshots as files to *folder*, for `import_` on another machine, and return them; the list of the files is written last.

    Raises:
        UsageError: the folder cannot be written to, a link of the project leads to it, or it contains a list that envctl did not write.
    """
    entries, told, root = [], {}, root_of(folder, project_of(session.cwd))
    try:
        check_file(folder / MANIFEST, root, ours=_is_manifest)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=folder) as beside:  # a new folder, so that no engine writes through links in *folder*
            found = _Kept(session, unseen)
            for entry, engine in ((each.entry, found.engines.get(_place(each.entry))) for each in found.all):
                if engine is None:
                    continue
                file = Path(beside) / f"{entry.key}.{entry.engine}.tar"
                engine.write_kept(entry.ref, file)
                told[file.name] = {"sha256": _digest(file, folder), "entry": encode(replace(entry, place=""))}
                file.replace(folder / file.name)
                entries.append(entry)
        write_file(folder / MANIFEST, json.dumps(told, indent=1), root, ours=_is_manifest)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}", hint="name a folder that this user can write to") from None
    return entries


def import_(session: Session, folder: Path) -> list[Entry]:
    """Import the snapshots that `export` wrote and that do not exist here, and return them.

    Only use trusted folders: whoever can write to *folder* decides what the data contains.

    Raises:
        UsageError: *folder* contains no list of snapshots.
        EnvctlError: a file has changed since it was exported.
    """
    index, entries, wanted = index_of(session), [], []
    known = {kept.entry.file for kept in listed(session)}
    for name, digest, entry in _manifest(folder / MANIFEST):
        engine, place = _here(session, entry.engine)
        here, file = replace(entry, place=place), folder / name
        if here.file in known:
            continue
        if _digest(file, folder) != digest:
            raise EnvctlError(f"{file} has changed since it was exported", hint="export it again; nothing was imported")
        wanted.append((engine, here, file))
    for engine, entry, file in reversed(wanted):  # least recently used first, which keeps the order of use
        content = engine.read_kept(entry.ref, file)
        if content != entry.content:
            engine.remove_kept(entry.ref)
            raise EnvctlError(f"{file} contains something other than {entry.ref}", hint="export it again; nothing of it was imported")
        index.add(entry)
        entries.append(entry)
    return entries


def _manifest(file: Path) -> Iterator[tuple[str, str, Entry]]:
    try:
        told = json.loads(read_file(file, file.parent, largest=LARGEST_MANIFEST))
        for name, each in told.items():
            entry = decode(Entry, each["entry"])
            if "/" in name or not entry.key.isalnum():
                raise ValueError(name)
            yield name, str(each["sha256"]), entry
    except FileNotFoundError:
        raise UsageError(f"there are no exported snapshots in {file.parent}", hint="`envctl snapshots export DIR` writes them") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Malformed, RecursionError) as error:
        raise EnvctlError(f"{file} is damaged: {error}", hint="export them again") from None


def _here(session: Session, name: str) -> tuple[KeptData, str]:
    location = next((location for location in known_locations(session) if location.engine == name), Location(name))
    engine = open_engine(location, session.host)
    if not isinstance(engine, KeptData):
        raise UsageError(f"the engine {name} keeps no data")
    return engine, engine.keeps_at


def _digest(file: Path, root: Path) -> str:
    """Return the SHA-256 of the file's content; empty if the file does not exist."""
    try:
        with open_file(file, root) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _is_manifest(content: bytes) -> bool:
    return content == b"{}" or b'"sha256"' in content
