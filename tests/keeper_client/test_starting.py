"""Tests of starting a keeper: its configuration, and the error of a keeper that does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.errors import EnvctlError
from envctl.instance.record import Record
from envctl.keeper.process_marks import marked
from envctl.keeper_client import starting
from envctl.session import Session
from tests.builders import record_of
from tests.keeper_client.support import ID, ensure
from tests.processes import until

FOLDER = Path("/state/t")


def test_what_says_who_it_is_and_holds_secrets_is_ours_alone(session: Session, record: Record) -> None:
    ensure(session, record)
    modes = {path.name: path.stat().st_mode & 0o077 for path in [session.store.folder(ID), *session.store.folder(ID).iterdir()]}
    assert set(modes.values()) == {0}
    assert {"keeper.json", "keeper-config.json", "keeper.log"} <= modes.keys()


def test_its_environment_has_no_options() -> None:
    """The keeper's later teardown command must mean this instance, whatever options the user's environment sets."""
    found = starting._environment(record_of(name="Zoë %", id=ID), FOLDER, {"ENVCTL_NAME": "other", "OF_THIS_SHELL": "yes"})
    assert {key for key in found if key.startswith("ENVCTL_")} == {"ENVCTL_MARK", "ENVCTL_ABOUT"}
    assert (found["ENVCTL_MARK"], found["OF_THIS_SHELL"]) == (ID, "yes")
    assert found["ENVCTL_ABOUT"].isascii()
    assert " " not in found["ENVCTL_ABOUT"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('one'); print('no room for it'); raise SystemExit(3)", "no room for it"),
        ("raise SystemExit(3)", "it printed nothing"),
        ("import time; print('waits', flush=True); time.sleep(600)", "waits"),
    ],
    ids=["it ends", "in silence", "it hangs"],
)
def test_one_that_does_not_start_says_why(
    session: Session, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(script)
    monkeypatch.setattr(starting, "PROGRAM", program)
    monkeypatch.setattr(starting, "START_TIMEOUT", 1.0)
    with pytest.raises(EnvctlError, match=f"the keeper of {ID} did not start: {words}"):
        ensure(session, record)
    until(lambda: ID not in marked().values())
    assert session.keepers.find(ID) is None


@pytest.mark.parametrize("mark", sorted(starting.PROCESS_MARKS))
def test_no_runner_finds_what_outlives_its_job(mark: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the CI job stays in the keeper or in the shell that recovers it; a relative kubeconfig is made absolute."""
    spawned: list[dict[str, str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starting, "spawn_detached", lambda argv, *, env, **_: spawned.append(env))
    environ = {mark: "job_1", "KUBECONFIG": "a", "HOME": "/h"}
    with starting.watched_until_kept(environ):
        pass
    assert spawned == [{"KUBECONFIG": f"{tmp_path}/a", "HOME": "/h"}]
    assert mark not in starting._environment(record_of(), FOLDER, environ)


def test_its_kubeconfigs_are_found_from_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = starting._environment(record_of(), FOLDER, {"KUBECONFIG": "a::/b"})
    assert found["KUBECONFIG"] == f"{tmp_path}/a:/b"
