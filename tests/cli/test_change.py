"""`restart`, `seed`, `reset`, `down`, `gc`: the commands that change or remove an instance."""

from __future__ import annotations

import os
import re
import shutil
import urllib.request
from pathlib import Path

import pytest

from envctl.instance.identity import instance_id
from envctl.instance.record import now
from tests.processes import keepers_of, kill, nothing_is_left, states_of, things_of, until
from tests.support import Project, command

pytestmark = pytest.mark.docker

OWN = """
services:
  cache: {kind: valkey, seed: [{command: valkey-cli set key seeded, in: server}]}
  api:
    kind: api
    build: ./api
    run: python -m http.server 8000
    port: 8000
outputs: {API: "${api.url}"}
"""
STUB = "services: {site: {kind: stub}}\noutputs: {SITE: '${site.url}'}\n"


@pytest.fixture
def own(project: Project) -> Project:
    project.environment("env", OWN)
    project.write("environments/api/Dockerfile", "FROM python:3.13-slim\nWORKDIR /srv\nCOPY index.html .\n")
    project.write("environments/api/index.html", "one")
    return project


def page(outputs: dict[str, str]) -> str:
    with urllib.request.urlopen(outputs["API"], timeout=10) as answer:
        return str(answer.read().decode())


def cached(project: Project, *words: str) -> str:
    return project.envctl("exec", "env", "cache", "--", "valkey-cli", *words).ok().out.strip()


def test_restart_seed_and_reset(own: Project) -> None:
    """On one instance, addresses stay the same throughout, and data is discarded only on request."""
    shown = own.envctl("up", "env", "--json").ok().json
    outputs, before = shown["outputs"], shown["services"]
    assert cached(own, "get", "key") == "seeded"

    done = own.envctl("restart", "env", "api").ok()
    assert done.out == ""
    assert re.search(r"api +stopping\n.*api +starting\n", done.err), "a program may take ten seconds to stop"
    assert page(outputs) == "one"

    own.write("environments/api/index.html", "two")
    own.envctl("restart", "env", "api").ok()
    assert page(outputs) == "one", "only --build builds"
    own.envctl("restart", "env", "api", "--build").ok()
    assert page(outputs) == "two"

    assert cached(own, "set", "mine", "1") == "OK"
    own.envctl("seed", "env").ok()
    own.envctl("seed", "env", "cache").ok()
    assert cached(own, "get", "mine") == "1", "what is seeded is not seeded again"
    own.environment("env", OWN.replace("in: server}", "in: server}, {command: valkey-cli set more yes, in: server}"))
    own.envctl("seed", "env").ok()
    assert (cached(own, "get", "more"), cached(own, "get", "mine")) == ("yes", "1")

    assert own.envctl("reset", "env", "cache").ok().err.endswith("cache: back in the seeded state\n")
    assert (cached(own, "get", "key"), cached(own, "get", "mine")) == ("seeded", "")
    after = own.envctl("status", "env", "--json").ok().json["services"]
    assert {name: entry["endpoints"] for name, entry in after.items()} == {name: entry["endpoints"] for name, entry in before.items()}

    for words in (["restart", "env", "apy"], ["seed", "env", "cahce"], ["reset", "env", "cahce"]):
        done = own.envctl(*words)
        assert (done.status, done.out) == (2, "")
        assert "did you mean" in done.err
    own.envctl("down", "env").ok()
    assert list(own.envctl("list", "--json").ok().json) == []


def test_down_twice_and_without_the_definition(project: Project) -> None:
    project.environment("env", STUB)
    project.envctl("up", "env").ok()
    (project.folder / "environments/env.yaml").unlink()
    first = project.envctl("down", "env").ok()
    assert (first.out, first.err) == ("", "env is gone\n")
    nothing_is_left(project)
    second = project.envctl("down", "env").ok()
    assert second.out == ""
    assert second.err.startswith("nothing named 'env' is up in this checkout\n")


def test_down_with_a_broken_definition(project: Project) -> None:
    project.environment("env", STUB)
    project.envctl("up", "env").ok()
    project.environment("env", "services: [\n")
    project.envctl("logs", "env").ok()
    project.envctl("status", "env").ok()
    project.envctl("down", "env").ok()
    nothing_is_left(project)


@pytest.mark.parametrize("how", ["gone", "torn"])
def test_down_after_the_state_was_deleted(project: Project, how: str) -> None:
    project.environment("env", STUB)
    project.envctl("up", "env").ok()
    [folder] = states_of(project)
    if how == "gone":
        shutil.rmtree(folder)
    else:
        (folder / "instance.json").write_text('{"name": "env"')
    done = project.envctl("down", "env").ok()
    assert "env is gone" in done.err
    assert things_of(project) == []
    assert not folder.exists()


def test_down_by_id_from_anywhere(project: Project, tmp_path: Path) -> None:
    project.environment("env", STUB)
    project.envctl("up", "env").ok()
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.write("envctl.toml", "")
    said = elsewhere.envctl("down", "env").ok().err
    assert said.startswith("nothing named 'env' is up in this checkout\n")
    assert f"its id {instance_id('env', project.folder)} works here, too" in said
    assert things_of(project) != [], "two checkouts do not notice each other"
    elsewhere.envctl("down", instance_id("env", project.folder)).ok()
    nothing_is_left(project)


def test_down_all(project: Project) -> None:
    project.environment("env", STUB)
    project.envctl("up", "env", "--name", "one").ok()
    project.envctl("up", "env", "--name", "two").ok()
    done = project.envctl("down", "--all").ok()
    assert sorted(done.err.splitlines()) == ["one is gone", "two is gone"]
    nothing_is_left(project)


def without_keeper(project: Project, name: str) -> None:
    """Kill the keeper of the instance before it can remove the instance."""
    kill(keepers_of(instance_id(name, project.folder)))


def test_gc_removes_what_has_expired_and_nothing_else(project: Project) -> None:
    project.environment("env", STUB)
    project.envctl("up", "env", "--name", "long", "--ttl", "1h").ok()
    project.envctl("up", "env", "--name", "short", "--ttl", "10s").ok()
    without_keeper(project, "short")
    expires = now(10)
    until(lambda: now() > expires)
    project.envctl("gc").ok()  # may print nothing, because another test's `gc` may have removed the instance first
    assert [row["name"] for row in project.envctl("list", "--json").ok().json] == ["long"]


def test_gc_finds_by_label_what_another_state_folder_knew(project: Project, tmp_path: Path) -> None:
    project.environment("env", STUB)
    other = {"XDG_STATE_HOME": str(tmp_path / "other")}
    project.envctl("up", "env", "--ttl", "10s", env=other).ok()
    without_keeper(project, "env")
    # Another test's `gc` may remove the instance first.
    until(lambda: command(["gc"], project.folder).ok() and not things_of(project))
    project.envctl("gc", env=other).ok()
    assert list((tmp_path / "other/envctl").iterdir()) == []


def test_gc_sweeps_a_state_folder_without_a_record(project: Project) -> None:
    """A command can be killed after it has taken its lock and before it writes its record."""
    folder = Path(os.environ["XDG_STATE_HOME"], "envctl", "killed-early-000000")
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    project.envctl("gc").ok()
    assert not folder.exists()


def test_built_images_are_collected(own: Project) -> None:
    own.write("environments/api/index.html", f"this test's own {own.folder}")
    own.envctl("run", "env", "--only", "api", "--", "true").ok()
    kept = own.envctl("gc").ok()
    assert "removed image envctl/api:" not in kept.err, "young images are a cache"
    assert "removed image envctl/api:" in own.envctl("gc", "--images").ok().err


def test_another_shell_knows_the_variables(project: Project) -> None:
    """The record keeps the variables that `up` took from its environment: commands in other shells need none of them."""
    project.environment(
        "env",
        "variables: {word: {from: SOME_WORD}, more: one}\n"
        "services: {site: {kind: stub, env: {WORD: '${var.word}', MORE: '${var.more}'}}}\noutputs: {WORD: '${var.word} ${var.more}'}\n",
    )
    given = {"SOME_WORD": "kept", "ENVCTL_VAR_MORE": "two"}
    assert project.envctl("up", "env", "--json", env=given).ok().json["outputs"]["WORD"] == "kept two"
    project.envctl("restart", "env", "site").ok()
    shown = project.envctl("exec", "env", "site", "--", "sh", "-c", "echo $WORD $MORE").ok().out
    assert shown == "kept two\n"
    assert project.envctl("env", "env", "--for", "site", env={"ENVCTL_VAR_MORE": "three"}).ok().out.count("two") == 1
    assert project.envctl("up", "env").status == 2, "a new `up` must be given them"


def test_reset_leaves_services_whose_source_was_edited(own: Project) -> None:
    outputs = own.envctl("up", "env", "--json").ok().json["outputs"]
    before = [line for line in things_of(own) if "api" in line]
    own.write("environments/api/index.html", "edited")
    assert cached(own, "set", "mine", "1") == "OK"
    own.envctl("reset", "env").ok()
    assert (page(outputs), cached(own, "get", "mine"), cached(own, "get", "key")) == ("one", "", "seeded")
    assert [line for line in things_of(own) if "api" in line] == before
