"""Tests of finding instances that only their running keeper makes known."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from envctl.instance.labels import labels_of
from envctl.instance.record import Record
from envctl.keeper_client.starting import labels_of_keepers
from envctl.session import Session
from tests.builders import record_of
from tests.keeper_client.support import ID, ensure


def test_an_instance_is_known_by_its_keeper_alone(session: Session, record: Record) -> None:
    ensure(session, record)
    folder = str(session.store.folder(record.id))
    assert labels_of_keepers()[ID] == {**labels_of(record), "envctl.engine": "local", "folder": folder}


@contextmanager
def marked(about: str, user: int | None = None) -> Iterator[None]:
    """Run a process whose environment says that it is the keeper of an instance with these labels."""
    environ = {"PATH": os.defpath, "ENVCTL_ABOUT": quote(about, safe="")}
    with subprocess.Popen(["sleep", "600"], env=environ, user=user) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("about", ["", "no json", "[]", "{}", '{"envctl.instance": "../../etc"}', '{"envctl.instance": 3}'])
def test_what_is_no_keepers_word_is_not_believed(about: str) -> None:
    with marked(about):
        assert {"", "../../etc", 3, None}.isdisjoint(labels_of_keepers())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another user's process")
def test_nor_is_another_users() -> None:
    with marked(json.dumps(labels_of(record_of()))), marked(json.dumps(labels_of(record_of(id="s-123456"))), 12345):
        assert "t-123456" in labels_of_keepers()
        assert "s-123456" not in labels_of_keepers()
