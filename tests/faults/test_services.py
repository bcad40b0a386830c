"""Tests of services that die, hang or cannot be created: `up` shows the cause, and leaves nothing without `--keep`."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime

import pytest

from tests.processes import nothing_is_left, things_of
from tests.support import Done, Project

pytestmark = pytest.mark.docker

DEAD = """
services:
  site: {kind: stub}
  bad:
    image: python:3.13-slim
    port: 8000
    needs: [site]
    run: python -uc ${var.program}
variables:
  program: |
    for number in range(60): print('line', number)
    print('the reason')
    raise SystemExit(3)
"""


def service(run: str, **more: object) -> str:
    entry = {"image": "python:3.13-slim", "run": run, "port": 8000, **more}
    return f"services:\n  slow: {json.dumps(entry)}\n"


def in_order(text: str, *parts: str) -> None:
    places = [text.find(part) for part in parts]
    assert -1 not in places, (dict(zip(parts, places, strict=True)), text)
    assert places == sorted(places), text


def finished(container: str) -> datetime:
    form = "{{.State.FinishedAt}}"
    shown = subprocess.run(["docker", "inspect", "-f", form, container], capture_output=True, text=True, check=True).stdout
    return datetime.fromisoformat(shown.strip()[:19]).replace(tzinfo=UTC)


def test_a_container_that_dies_at_once(project: Project) -> None:
    project.environment("env", DEAD)
    done = project.envctl("up", "env")
    assert (done.status, done.out) == (1, "")
    parts = (
        "envctl: bad ended with 3",
        "service    bad",
        "step       start",
        "exit code  3",
        "last 40 lines:",
        "line 59",
        "the reason",
        "`envctl logs env bad` shows all of its log",
    )
    in_order(done.err, *parts)
    assert "line 20\n" not in done.err, "the last lines only"
    assert "Traceback (most recent call last)" not in done.err.replace("the reason", "")
    nothing_is_left(project)


def test_its_death_is_noticed_at_once_and_keep_leaves_it(project: Project) -> None:
    """`up` ends before the service's timeout of a minute (`ready: timeout`)."""
    project.environment("env", DEAD)
    done = project.envctl("up", "env", "--keep")
    ended = datetime.fromtimestamp(time.time(), UTC)
    assert done.status == 1
    assert "`envctl down env` removes it" in done.err
    [bad] = [thing.split()[1] for thing in things_of(project) if thing.startswith("container") and is_service(thing.split()[1], "bad")]
    assert (ended - finished(bad)).total_seconds() < 30
    shown = project.envctl("status", "env", "--json").ok().json
    assert (shown["state"], shown["services"]["bad"]["state"]) == ("failed", "failed")
    assert "the reason" in project.envctl("logs", "env", "bad").ok().out
    assert "bad" in shown["error"]
    project.envctl("down", "env").ok()
    nothing_is_left(project)


def is_service(container: str, name: str) -> bool:
    form = '{{index .Config.Labels "envctl.service"}}'
    return subprocess.run(["docker", "inspect", "-f", form, container], capture_output=True, text=True, check=True).stdout.strip() == name


def late(project: Project, *words: str, status: int = 124) -> Done:
    done = project.envctl("up", "env", *words)
    assert (done.status, done.out) == (status, "")
    nothing_is_left(project)
    return done


def test_one_that_never_gets_ready_ends_at_the_timeout(project: Project) -> None:
    project.environment("env", service("python -uc 'import time; print(\"waiting for nobody\"); time.sleep(600)'"))
    done = late(project, "--timeout", "3s")
    in_order(done.err, "envctl: out of time: slow is still starting", "service    slow", "probe  ", "times)", "waiting for nobody", "try  ")


def test_one_that_never_gets_ready_ends_at_its_own_timeout(project: Project) -> None:
    run = "python -u -m http.server 8000"
    project.environment("env", service(run, ready={"http": "/nothing", "timeout": "2s"}))
    done = late(project, status=1)
    told = done.err.partition("envctl: ")[2]
    in_order(told, "slow did not get ready within 2 s", "service    slow", "step       readiness", "times)", "try  ")


def test_a_job_that_fails(project: Project) -> None:
    project.environment("env", "services:\n  once: {kind: job, image: 'python:3.13-slim', run: sh -c 'echo no luck; exit 7'}\n")
    done = project.envctl("up", "env")
    assert done.status == 1
    in_order(done.err, "once ended with 7", "exit code  7", "no luck")
    nothing_is_left(project)


def test_a_program_that_is_not_in_the_image(project: Project) -> None:
    project.environment("env", service("/no/such/program"))
    done = project.envctl("up", "env")
    assert done.status == 1
    assert "/no/such/program" in done.err
    assert "check `run:`" in done.err
    nothing_is_left(project)


def test_one_that_dies_while_others_are_on_their_way(project: Project) -> None:
    """`up` fails if a ready service dies while another service that needs it starts."""
    first = {"image": "python:3.13-slim", "run": "sh -c 'echo ready; sleep 1; echo gone; exit 5'", "ready": {"log": "ready"}}
    second = {"image": "python:3.13-slim", "run": "sleep 600", "port": 8000, "needs": ["first"]}
    project.environment("env", f"services: {json.dumps({'first': first, 'second': second})}\n")
    done = project.envctl("up", "env")
    assert done.status == 1
    in_order(done.err, "first ended with 5", "gone")
    nothing_is_left(project)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{command: sh -c 'echo in the server; exit 6', in: server}", "in the server"),
        ("{command: sh -c 'echo on this machine; exit 6'}", "on this machine"),
        ("{command: /no/such/program}", "/no/such/program: No such file or directory"),
        ("{command: sh -c 'echo in its image; exit 6', in: job}", "in its image"),
    ],
    ids=["server", "here", "missing", "image"],
)
def test_a_seed_that_fails(project: Project, step: str, said: str) -> None:
    job = "  job: {kind: job, image: 'python:3.13-slim', run: 'true', needs: [cache]}\n"
    text = f"services:\n  cache:\n    kind: valkey\n    seed:\n      - {{command: valkey-cli ping, in: server}}\n      - {step}\n{job}"
    project.environment("env", text)
    done = project.envctl("up", "env")
    assert done.status == 1
    in_order(done.err, "cache: seed step 2 failed at", "env.yaml:7", "service    cache")
    assert said in done.err
    nothing_is_left(project)


def test_an_image_that_cannot_be_pulled(project: Project) -> None:
    project.environment("env", "services: {site: {image: 'nosuch.invalid/x:1', port: 80}}\n")
    done = project.envctl("up", "env")
    assert done.status == 1
    assert done.err.count("site: the image nosuch.invalid/x:1 cannot be pulled: ") == 1
    assert "--image S=REF uses another image" in done.err
    assert "Traceback" not in done.err
    nothing_is_left(project)


def test_a_build_that_fails_prints_what_it_said(project: Project) -> None:
    project.environment("env", "services: {api: {kind: api, build: ./api, port: 8000}}\n")
    project.write("environments/api/Dockerfile", "FROM python:3.13-slim\nRUN echo the tool says why >&2 && exit 41\n")
    done = project.envctl("up", "env")
    assert done.status == 1
    in_order(
        done.err, "api: the image cannot be built", "service    api", "step       build", "the tool says why", "try        `docker build "
    )
    assert "41" in done.err
    nothing_is_left(project)


def test_a_later_failure_leaves_what_was_up(project: Project) -> None:
    """A mistake in the definition or a failing service does not remove the running instance."""
    good = "services: {site: {kind: stub}}\noutputs: {SITE: '${site.url}'}\n"
    project.environment("env", good)
    outputs = project.envctl("up", "env", "--json").ok().json["outputs"]
    before = set(things_of(project))
    project.environment("env", good.replace("stub", "stubb"))
    assert project.envctl("up", "env").status == 2
    assert set(things_of(project)) == before
    assert project.envctl("status", "env", "--json").ok().json["state"] == "seeded"
    project.environment("env", good.replace("{site:", "{bad: {image: 'python:3.13-slim', run: 'false', port: 1}, site:"))
    assert project.envctl("up", "env").status == 1
    assert before <= set(things_of(project))
    assert project.envctl("status", "env", "--json").ok().json["services"]["site"]["state"] == "seeded"
    project.environment("env", good)
    shown = project.envctl("up", "env", "--json").ok().json
    assert (shown["state"], shown["outputs"]) == ("seeded", outputs)
    assert set(things_of(project)) == before
