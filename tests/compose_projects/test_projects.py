"""Compare unchanged Compose files in the style of real projects: `envctl up` must give what `docker compose up --wait` gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import REQUIRED, Project, missing

HERE = Path(__file__).parent
PROJECTS = sorted(folder.name for folder in HERE.iterdir() if list(folder.glob("*compose.y*ml")))
VARIABLES = {"API_KEY": "k$1", "LAB": f"10.{60 + os.getpid() % 100}.{os.getpid() % 250}", "NAMES": f"envctl-{os.getpid()}"}

pytestmark = pytest.mark.skipif("docker" in missing and "docker" not in REQUIRED, reason="no docker here")


class Loader(yaml.SafeLoader):
    """A YAML loader that reads Compose's own tags (`!reset`, `!override`) as null."""


Loader.add_multi_constructor("!", lambda loader, tag, node: None)


def compose(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **VARIABLES}
    return subprocess.run(["docker", "compose", *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False)


def seen(id: str, questions: Mapping[str, str], patience: float = 0.0) -> dict[str, str]:
    """Return what the services of a Compose project answer.

    Args:
        patience: Seconds to retry. Plain Compose reports servers as started before they answer.
    """
    return {service: answer(id, service, question, time.monotonic() + patience) for service, question in questions.items()}


def answer(id: str, service: str, question: str, until: float) -> str:
    while True:
        done = subprocess.run(["docker", "exec", container(id, service), "sh", "-c", question], capture_output=True, text=True, check=False)
        if done.returncode == 0 or time.monotonic() > until:
            return done.stdout + done.stderr
        time.sleep(0.2)


def container(id: str, service: str) -> str:
    marks = [f"label=com.docker.compose.{key}={value}" for key, value in (("project", id), ("service", service))]
    words = ["docker", "ps", "-q", *(word for mark in marks for word in ("--filter", mark))]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]


def running(id: str) -> list[str]:
    words = ["docker", "ps", "--filter", f"label=com.docker.compose.project={id}", "--format", '{{.Label "com.docker.compose.service"}}']
    return sorted(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture
def plain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """Yield the id of a Compose project and the path of its file, in a copy of the folder; Docker chooses the host ports."""
    folder = tmp_path / "plain"
    shutil.copytree(HERE / request.param, folder)
    file = next(folder.glob("*compose.y*ml"))
    published = [name for name, service in document(file)["services"].items() if (service or {}).get("ports")]
    resets = "".join(f"  {name}: {{ports: !reset []}}\n" for name in published)
    (folder / "no-ports.yaml").write_text(f"services:\n{resets}" if resets else "services: {}\n")
    id = f"plain-{request.param.replace('_', '-')}-{os.getpid()}"
    yield id, file
    compose(folder, "-p", id, "-f", file.name, "-f", "no-ports.yaml", "down", "-v", "-t", "0", "--rmi", "local")


def document(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(file.read_text(), Loader)
    return found


@pytest.mark.parametrize(("plain", "name"), [(name, name) for name in PROJECTS], indirect=["plain"], ids=PROJECTS)
def test_it_comes_up_as_plain_compose_has_it(project: Project, plain: tuple[str, Path], name: str) -> None:
    (id, file), folder = plain, plain[1].parent
    questions = document(file)["x-see"]
    composed = compose(folder, "-p", id, "-f", file.name, "-f", "no-ports.yaml", "up", "-d", "--wait", "--quiet-pull")
    assert composed.returncode == 0, composed.stderr
    expected, services = seen(id, questions, patience=90), running(id)
    assert compose(folder, "-p", id, "-f", file.name, "down", "-v", "-t", "0").returncode == 0  # its subnets must be free for envctl
    shutil.copytree(HERE / name, project.folder, dirs_exist_ok=True)
    done = project.envctl("up", file.name, "--name", "mine", "--engine", "docker", "--timeout", "3m", "--json", env=VARIABLES).ok()
    assert [text for text in document(file).get("x-listed", []) if text not in done.err] == [], "told before anything starts"
    up = done.json
    assert {name: state["state"] for name, state in up["services"].items() if state["state"] not in ("seeded", "done")} == {}
    assert running(up["id"]) == services
    assert seen(up["id"], questions) == expected
