"""`--report DIR`: what is needed to see afterwards why a run failed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from envctl.engines.mixed import running_instance
from envctl.inspect.status import document
from envctl.instance.record import Record
from envctl.session import Session
from envctl.session.mask import Mask


def write_report(session: Session, record: Record, folder: Path) -> None:
    """`status.json` and `SERVICE.log` for every service; credentials are masked."""
    folder.mkdir(parents=True, exist_ok=True)
    mask = Mask(record.secrets)
    there = running_instance(session.host, record.location, record.id, record.choices.local)
    with suppress(Exception):  # a daemon that fails now must not hide why the command failed
        status = json.dumps(document(record, there.states()), ensure_ascii=False, indent=2)
        (folder / "status.json").write_text(mask(status), "utf-8")
    for service in record.services:
        with suppress(Exception):
            (folder / f"{service}.log").write_text(mask(there.logs(service)), "utf-8")
