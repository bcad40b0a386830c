"""Compare the complete rendered examples with stored files.

`UPDATE_GOLDEN=1 pytest tests/render` rewrites the files; read the diff before you commit it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from envctl.engines.registry import traits
from envctl.environment import open_environment
from envctl.plan.make import make_plan
from envctl.plan.render_setting import render_setting
from envctl.render import write_manifests

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"


def rendered(name: str) -> str:
    environment = open_environment(ROOT / "environments" / name / "environment.yaml", cwd=ROOT, environ={})
    found = write_manifests(make_plan(environment, render_setting(environment, name, traits("docker"), {})), None)
    return portable(found.text) + "".join(f"# loss: {loss}\n" for loss in found.losses)


def portable(text: str) -> str:
    """Replace the parts of *text* that depend on the machine, or on the code of the stub and the shop."""
    text = text.replace(str(ROOT), "/checkout")
    text = re.sub(r"envctl/app:[0-9a-f]{16}", "envctl/app:CONTENT", text)
    text = re.sub(r"envctl\.build: [0-9a-f]{16}", "envctl.build: CONTENT", text)
    text = re.sub(r"envctl\.files: [0-9a-f]{16}", "envctl.files: CONTENT", text)
    stubs = re.findall(r"source: (text-[0-9a-f]{12})\n\s+target: /opt/envctl-stub/([\w.]+)\n", text)
    for source, name in stubs:
        text = re.sub(rf"(  {source}:\n    content: )(?:.*\n)+?(?=  text-|\Z)", rf"\1(envctl/servers/stub/{name})\n", text)
        text = text.replace(source, f"text-of-stub-{name}")
    return text


@pytest.mark.parametrize("name", ["shop", "streaming"])
def test_an_example_renders_as_it_did(name: str) -> None:
    found, file = rendered(name), GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(found, "utf-8")
    assert found == file.read_text("utf-8")


@pytest.mark.parametrize("name", ["shop", "streaming", "minimal"])
def test_an_example_renders_the_same_twice(name: str) -> None:
    path = ROOT / "environments" / (f"{name}/environment.yaml" if name != "minimal" else "minimal.yaml")

    def once() -> str:
        environment = open_environment(path, cwd=ROOT, environ={})
        return write_manifests(make_plan(environment, render_setting(environment, name, traits("docker"), {})), None).text

    assert once() == once()
