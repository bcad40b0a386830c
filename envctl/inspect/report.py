"""`--report DIR`: files that show why a run failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from envctl.engines.logs import ending
from envctl.engines.mixed import running_instance
from envctl.files.writing import always, root_of, write_file
from envctl.inspect.status import document
from envctl.instance.record import Record
from envctl.session import Session
from envctl.session.mask import Mask

MOST = 4 << 20
"""The maximum size of a log in bytes."""


def write_report(session: Session, record: Record, folder: Path) -> None:
    """Write `status.json`, and the end of each service's log to `SERVICE.log`, at most `MOST` bytes; credentials are masked.

    Raises:
        FileRefused: a link in the project leads out of it.
    """
    root, mask = root_of(folder, Path(record.project)), Mask(record.secrets)

    def keep(name: str, text: str) -> None:
        write_file(folder / name, mask(text), root, ours=always, mode=0o600)

    there = running_instance(session.host, record.location, record.id, record.choices.local)
    status = ""
    with suppress(Exception):  # an error of the daemon must not hide why the command failed
        status = json.dumps(document(record, there.states()), ensure_ascii=False, indent=2)
    keep("status.json", status)
    for service in record.services:
        logs = ""
        with suppress(Exception):
            logs = _ending(there.logs(service), record.secrets)
        keep(f"{service}.log", logs)


def _ending(pieces: Iterable[bytes], secrets: Sequence[str]) -> str:
    """Return the end of a log. A partial credential at its beginning, which masking would miss, is left out too."""
    kept, before = ending(pieces, MOST)
    if not before:
        return kept.decode(errors="replace")
    half = max((len(secret.encode()) for secret in secrets), default=0)
    return f"({before + half} bytes before this are left out)\n{Mask(secrets)(kept.decode(errors='replace'))[half:]}"
