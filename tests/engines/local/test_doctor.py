"""The findings of `envctl doctor` about programs on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.engines.local import doctor
from envctl.engines.protocol import Finding
from envctl.session import Session


def found(folder: Path, path: Path) -> list[Finding]:
    return list(doctor.findings(Session({"PATH": str(path)}, folder).host))


def test_programs_are_found_on_the_path(tmp_path: Path) -> None:
    program = tmp_path / "memcached"
    program.write_text("#!/bin/sh\necho memcached 1.6.99\n")
    program.chmod(0o755)
    assert Finding("local", True, f"memcached: 1.6.99 ({program})") in found(tmp_path, tmp_path)


def test_programs_that_are_missing_and_kinds_that_need_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_program", lambda *_: None)
    seen = {finding.text: finding for finding in found(tmp_path, tmp_path)}
    assert seen["postgres: its program is not installed"].advice == "`pip install 'envctl-testing[local]'` installs PostgreSQL 16 and 18"
    assert "apt install mosquitto" in seen["mqtt: its program is not installed"].advice
    assert "--use" in seen["only in a container: kafka"].advice
    assert [finding.ok for finding in seen.values() if finding.needed] == [True]


def test_a_system_without_a_local_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Windows")
    [needed] = [finding for finding in found(tmp_path, tmp_path) if finding.needed]
    assert (needed.ok, needed.advice) == (False, "Linux and macOS are supported")
