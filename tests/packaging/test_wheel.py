"""Test the wheel without the checkout, as a user installs it: it starts an environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envctl import __version__
from tests.support import REPO, missing

NAME = "envctl-testing"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(REPO)]
    subprocess.run(words, check=True, capture_output=True, text=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a new virtual environment that also finds this environment's dependencies; return its `envctl`."""
    home = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    pip = [sys.executable, "-m", "pip", "-q", "--python", str(home / "bin/python"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, text=True)
    site = next((home / "lib").glob("python3*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home / "bin/envctl"


def alone() -> Iterator[tuple[str, str]]:
    """Yield this process's variables without those that lead to the checkout."""
    return ((key, value) for key, value in os.environ.items() if not key.startswith(("ENVCTL_", "PYTHON")))


def test_it_brings_an_environment_up(program: Path, wheel: Path, tmp_path: Path) -> None:
    if "local" in missing:
        pytest.skip(f"no local engine here: {missing['local']}")
    with zipfile.ZipFile(wheel) as packed:
        text = packed.read("envctl/_environments/minimal.yaml").decode()
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/minimal.yaml").write_text(text)
    code = "import envctl, os; print(os.environ['DB_HOST'], os.path.dirname(envctl.__file__))"
    words = [str(program), "run", "minimal", "--engine", "local", "--", str(program.with_name("python")), "-c", code]
    done = subprocess.run(words, cwd=tmp_path, env=dict(alone()), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    host, folder = done.stdout.split()
    assert host == "127.0.0.1"
    assert Path(folder).is_relative_to(program.parent.parent)


def test_what_it_says_of_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        told = packed.read(f"{NAME.replace('-', '_')}-{__version__}.dist-info/METADATA").decode()
    assert f"\nName: {NAME}\n" in told
    assert all(f"\nProject-URL: {label}, https://" in told for label in ("Repository", "Documentation", "Changelog", "Issues"))


def test_nothing_tells_users_to_install_what_is_somebody_elses() -> None:
    """The package `envctl` on PyPI is another product, which also installs a command of that name."""
    name = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["name"]
    assert name == NAME
    files = [*(REPO / "docs").glob("*.md"), *(REPO / "templates/kinds").glob("*.yaml"), *(REPO / "envctl").rglob("*.py")]
    pages = [*files, REPO / "README.md"]
    said = ("install envctl ", "install envctl\n", "install 'envctl[", "install envctl[", 'install "envctl[')
    assert [str(page) for page in pages if any(words in page.read_text("utf-8") for words in said)] == []
