"""Bad input: for every broken definition, `validate` and `up` exit with 2, name file and line, and change nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import Done, command

BROKEN = Path(__file__).parent.parent / "definition/broken"
FILES = sorted(path.name for path in BROKEN.glob("*.yaml"))
COMMANDS = ("validate", "up")
WHERE = re.compile(r"^[\w/.]+\.(yaml|json|sql|env):\d+: ", re.MULTILINE)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Done]:
    """Return how both commands end for each file, by command and file."""
    folder = tmp_path_factory.mktemp("broken") / "envctl-tests"
    shutil.copytree(BROKEN, folder)
    (folder / "envctl.toml").touch()
    return {(word, file): command([word, file], folder) for word in COMMANDS for file in FILES}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("word", COMMANDS)
def test_a_broken_definition(ended: Mapping[tuple[str, str], Done], word: str, file: str) -> None:
    done = ended[word, file]
    assert (done.status, done.out) == (2, ""), done
    assert "Traceback" not in done.err
    assert WHERE.search(done.err), done.err
    assert re.search(r"^envctl: \d+ mistakes?(; nothing was started)?$", done.err.splitlines()[-1])
    if word == "up":
        assert done.err.endswith("; nothing was started\n")
        assert "on docker (" not in done.err, "it had not even begun"


def test_nothing_was_started(ended: Mapping[tuple[str, str], Done]) -> None:
    assert len(ended) >= 140
    names = sorted(path.name for path in Path(os.environ["XDG_STATE_HOME"]).glob("envctl/*"))
    assert not [name for name in names if name.startswith("shop-")]


def test_the_cycle_is_printed(ended: Mapping[tuple[str, str], Done]) -> None:
    for word in COMMANDS:
        assert "services need each other: a -> b -> a; break it with `needs: {b: none}` in 'a'" in ended[word, "plan_cycle.yaml"].err
