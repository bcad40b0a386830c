"""Which engines there are, and what a plan must know of them without opening one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from envctl.engines import registry
from envctl.errors import UsageError


@pytest.mark.parametrize("name", registry.names())
def test_traits_are_known_by_the_name_of_their_engine(name: str) -> None:
    assert registry.traits(name).name == name


def test_only_processes_of_this_machine_are_without_images_and_manifests() -> None:
    found = {name: registry.traits(name) for name in registry.names()}
    assert {name for name, each in found.items() if each.runs_processes} == {"local"}
    assert {name for name, each in found.items() if not each.uses_images or not each.manifests} == {"local"}


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="there is no engine 'dokcer'") as caught:
        registry.traits("dokcer")
    assert caught.value.hint == "did you mean 'docker'?"


def test_no_sdk_is_imported_for_traits() -> None:
    program = (
        "import sys; from envctl.engines.registry import names, traits; [traits(name) for name in names()];"
        "print([name for name in ('docker', 'kubernetes') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
