"""The registered engines, and the traits that a plan needs without opening an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from envctl.engines import open_engine, registry
from envctl.errors import UsageError
from envctl.instance import labels
from envctl.instance.record import Location
from envctl.session import Session
from tests.support import REPO


@pytest.mark.parametrize("name", registry.names())
def test_traits_are_known_by_the_name_of_their_engine(name: str) -> None:
    assert registry.traits(name).name == name


def test_only_processes_of_this_machine_are_without_images_and_manifests() -> None:
    found = {name: registry.traits(name) for name in registry.names()}
    assert {name for name, each in found.items() if each.runs_processes} == {"local"}
    assert {name for name, each in found.items() if not each.uses_images or not each.manifests} == {"local"}


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    for ask in (registry.traits, lambda name: open_engine(Location(name), Session({}, tmp_path).host)):
        with pytest.raises(UsageError, match="there is no engine 'dokcer'") as caught:
            ask("dokcer")
        assert caught.value.hint == "did you mean 'docker'?"


def test_a_namespace_is_for_a_cluster(tmp_path: Path) -> None:
    assert registry.cluster_engine() == "kubernetes"
    with pytest.raises(UsageError, match="--namespace ns: this machine has no namespaces") as caught:
        open_engine(Location("local", None, "ns"), Session({}, tmp_path).host)
    assert caught.value.hint == "use it with `--engine kubernetes`"


COMPARED = re.compile(
    r"""\bengine(_name|\.name)? *(==|!=|in|not in) *[("'\[{]+["']?(docker|kubernetes|local)\b"""
    r"""|["'](docker|kubernetes|local)["'] *(==|!=)"""
)


def test_nobody_else_compares_an_engines_name() -> None:
    files = [path for path in (REPO / "envctl").rglob("*.py") if "engines" not in path.relative_to(REPO / "envctl").parts]
    found = [f"{path}: {line.strip()}" for path in files for line in path.read_text("utf-8").splitlines() if COMPARED.search(line)]
    assert found == []
    assert COMPARED.search('if record.engine == "docker":'), "what is looked for is found"


def test_nobody_else_writes_labels() -> None:
    """Label names are written in one module; only the keeper, which cannot import that module, defines one label that the module reuses."""
    names = "|".join(value.removeprefix("envctl.") for key, value in vars(labels).items() if key.isupper() and key != "TYPE_CHECKING")
    literal = re.compile(rf"""["',!]envctl\.({names})["'=,]""")
    alone = ("instance/labels.py", "keeper/process_marks.py")
    files = [path for path in (REPO / "envctl").rglob("*.py") if not str(path).endswith(alone)]
    found = [f"{path}: {line.strip()}" for path in files for line in path.read_text("utf-8").splitlines() if literal.search(line)]
    assert found == []
    assert literal.search('{"envctl.instance": id}'), "what is looked for is found"
    text = (REPO / "envctl/keeper/process_marks.py").read_text("utf-8")
    assert literal.findall(text) == ["instance"]


def test_no_sdk_is_imported_for_traits() -> None:
    program = (
        "import sys; from envctl.engines.registry import names, traits; [traits(name) for name in names()];"
        "print([name for name in ('docker', 'kubernetes') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
