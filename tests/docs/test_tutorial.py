"""Test that a reader who follows docs/tutorial.md from top to bottom sees the output that the page shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from docs_tools import pages
from docs_tools.pages import ROOT, Step
from tests.support import missing

TUTORIAL = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Return the environment variables of a shell that finds the installed `envctl` and `python`."""
    programs = tmp_path / "bin"
    pages.write(programs / "envctl", f'#!/bin/sh\nexec "{sys.executable}" -m envctl "$@"\n')
    (programs / "envctl").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.skipif("local" in missing or shutil.which("curl") is None, reason="needs the local engine and curl")
def test_every_step_of_the_tutorial_does_what_it_says(tmp_path: Path, shell: Mapping[str, str]) -> None:
    project = tmp_path / "envctl-tests"
    exports: list[str] = []
    try:
        for step in pages.steps(TUTORIAL):
            if not isinstance(step, Step):
                pages.write(project / step.file, step.text)
            elif step.line.startswith("export "):
                exports.append(step.line)
            else:
                follow(step, exports, project, shell)
    finally:
        bash([*exports, "envctl down --all"], project, shell)


def follow(step: Step, exports: list[str], project: Path, shell: Mapping[str, str]) -> None:
    done = bash([*exports, step.line], project, shell)
    said = done.stdout + done.stderr
    assert done.returncode == step.status, f"{step.line}: exit {done.returncode}\n{said}"
    rest = done.stdout
    for text in step.shown:
        assert text in rest, f"{step.line}: no {text!r} in\n{said}"
        rest = rest.partition(text)[2]


def bash(lines: list[str], cwd: Path, shell: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-c", "\n".join(lines)]
    return subprocess.run(words, cwd=cwd, env=shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


def test_steps_are_read_with_what_is_said_about_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`a.txt`:\n```text\nfile\n```\n\n```sh\nfirst   # exit code 3\nlast\n```\n\n```text\nseen\n```\n", "utf-8")
    file, *steps = pages.steps(page)
    assert isinstance(file, pages.Block)
    assert file.file == "a.txt"
    assert steps == [Step("first   # exit code 3", 3, ()), Step("last", 0, ("seen",))]
