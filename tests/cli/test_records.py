"""Commands on instances whose record this version cannot read: the instances keep running."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import keepers_of, nothing_is_left, processes_of, states_of
from tests.support import Done, Project, command

SITE = """
services:
  site: {kind: stub, with: {routes: routes.json}, seed: [{command: "true"}]}
outputs: {SITE: "${site.url}"}
"""
ROUTES = '{"request": {"url": "/"}, "response": {"body": "the stub"}}'
COMMANDS = (
    ["up", "env"], ["status", "env"], ["env", "env"], ["logs", "env"], ["seed", "env"], ["reset", "env"], ["restart", "env", "site"],
    ["extend", "env", "2h"], ["exec", "env", "site", "--", "true"], ["run", "env", "--", "true"],
    ["status"], ["list"], ["gc"], ["down", "--all"],
)  # fmt: skip


@pytest.fixture
def local(project: Project) -> Iterator[Project]:
    """Yield a project whose environment `env` is up as local processes."""
    project.environment("env", SITE)
    project.environment("other", SITE)
    project.write("environments/routes.json", ROUTES)
    found = Project(project.folder, "local")
    found.envctl("up", "env").ok()
    good = record_of(found).read_text()
    yield found
    if record_of(found).exists():
        record_of(found).write_text(good)
    found.down()
    nothing_is_left(found)


def record_of(project: Project, name: str = "env") -> Path:
    (folder,) = [path for path in states_of(project) if path.name.startswith(f"{name}-")] or [project.folder / "gone"]
    return folder / "instance.json"


def changed(project: Project, **changes: Any) -> str:
    """Change the record as given, without the keys whose value is None; return the new text."""
    path = record_of(project)
    told = json.loads(path.read_text()) | changes
    text = json.dumps({key: value for key, value in told.items() if value is not None or key not in changes})
    path.write_text(text)
    return text


def answers(project: Project) -> bool:
    endpoint = json.loads(record_of(project).read_text())["services"]["site"]["endpoints"]["http"]
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint['port']}/", timeout=10) as answer:
        return bool(answer.read() == b"the stub")


def refused(done: Done, words: str, status: int = 1) -> None:
    assert (done.status, words in done.err) == (status, True), done
    assert "nothing named" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 99}, "was written by a later version of envctl (format 99; this one knows 1)"),
        ({"version": None}, "cannot be read: it has no version"),
        ({"services": 7}, "cannot be read: services: expected dict, not int"),
    ],
    ids=["of a later version", "without a version", "damaged"],
)
def test_every_command_says_so_and_all_goes_on(local: Project, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    before = processes_of(record_of(local).parent.name)
    text = changed(local, **change)
    for each in COMMANDS:
        refused(command(list(each), local.folder), words, 125 if each[0] in ("exec", "run") else 1)
    assert words in local.envctl("doctor").out
    assert "env" in [row["name"] for row in local.envctl("list", "--json").json], "as its engine sees it"
    assert record_of(local).read_text() == text, "nobody has written it"
    assert processes_of(record_of(local).parent.name).keys() >= before.keys()


def test_it_still_answers(local: Project) -> None:
    changed(local, version=99)
    assert local.envctl("up", "env").status == 1
    assert local.envctl("up", "env", "--fresh").status == 1
    assert answers(local)
    assert len(keepers_of(record_of(local).parent.name)) == 1


def test_down_removes_what_carries_the_label(local: Project) -> None:
    changed(local, version=99)
    assert "env is gone" in local.envctl("down", "env").ok().err
    nothing_is_left(local)
    assert "nothing named 'env' is up" in local.envctl("down", "env").ok().err


def test_down_of_one_that_is_nowhere_seen_is_no_success(local: Project) -> None:
    """The instance may still run on an engine that no record names."""
    lost = record_of(local)
    local.envctl("down", "env").ok()
    lost.parent.mkdir()
    lost.write_text('{"version": 99}')
    refused(local.envctl("down", "env"), "was written by a later version")
    assert lost.exists()
    lost.write_text("{")
    refused(local.envctl("down", "env"), "cannot be read")
    local.envctl("down", lost.parent.name).ok()
    assert not lost.parent.exists(), "its id was said, and everybody who could be asked knows nothing of it"


@pytest.mark.parametrize("here", [True, False], ids=["of this checkout", "of another"])
def test_another_instances_does_not_disturb(local: Project, here: bool) -> None:
    changed(local, version=99)
    there = record_of(local).parent
    moved = there if here else there.rename(there.with_name("env-000000"))
    local.envctl("up", "other").ok()
    assert local.envctl("status", "other", "--json").ok().json["state"] == "seeded"
    local.envctl("reset", "other").ok()
    assert local.envctl("run", "other", "--name", "third", "--", "true").status == 0
    shown = local.envctl("list", "--json")
    assert (shown.status, "later version" in shown.err) == ((1, True) if here else (0, False))
    assert "other is gone" in local.envctl("down", "other").ok().err
    moved.rename(there)


def test_keys_of_a_later_release_survive(local: Project) -> None:
    told = json.loads(record_of(local).read_text())
    told["lease"] = {"of": [1]}
    told["services"]["site"]["colour"] = "red"
    told["data"]["site"]["snapshot"] = "x"
    record_of(local).write_text(json.dumps(told))
    local.envctl("seed", "env").ok()
    local.envctl("up", "env").ok()
    local.envctl("extend", "env", "2h").ok()
    found = json.loads(record_of(local).read_text())
    assert found["lease"] == {"of": [1]}
    assert found["services"]["site"]["colour"] == "red"
    assert found["data"]["site"]["snapshot"] == "x"
