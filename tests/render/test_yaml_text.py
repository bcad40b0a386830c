"""Tests that all YAML readers read the written YAML in the same way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from envctl.render.compose import Rendered, compose_yaml
from envctl.render.yaml_text import yaml_text

READ_OTHERWISE = [
    "Y", "n", "yes", "No", "ON", "off", "TRUE", "False", "null", "~", "", "=", "<<", "1e3", "1E-3", "+1.5e+3", "1e400", "08", "0o17",
    "017", "0x1F", "0b11", "1_000", "1,000", "1:30", "190:20:30", ".5", "5.", "-.inf", ".NaN", "2026-01-02", "2026-1-2",
    "2026-01-02T03:04:05Z",
]  # fmt: skip
PLAIN = ["yes please", "postgres:17", "1.2.3", "v1", "10m", "64Mi", "127.0.0.1:80", "nothing", "e3", "0xyz", "a=b", "1e", "one\ntwo\n"]


@pytest.mark.parametrize("text", READ_OTHERWISE)
def test_what_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    assert yaml_text({"a": text}) == f"a: '{text}'\n"
    assert yaml_text({text: "a"}).lstrip("? ").startswith(f"'{text}'")


@pytest.mark.parametrize("text", PLAIN)
def test_the_rest_stays_as_it_is(text: str) -> None:
    assert "'" not in yaml_text({"a": text})
    assert yaml.safe_load(yaml_text({"a": text})) == {"a": text}


def test_values_that_are_no_texts_stay_what_they_are() -> None:
    assert yaml_text({"a": [1, 1.5, True, None]}) == "a:\n- 1\n- 1.5\n- true\n- null\n"


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker")
def test_compose_reads_the_values_that_were_written(tmp_path: Path) -> None:
    told = {f"V{number}": text for number, text in enumerate(READ_OTHERWISE)}
    document = {"name": "t", "services": {"s": {"image": "x", "environment": told}}}
    (tmp_path / "compose.yaml").write_text(compose_yaml(Rendered(document)))
    done = subprocess.run(
        ["docker", "compose", "-f", str(tmp_path / "compose.yaml"), "config", "--format", "json"], capture_output=True, check=True
    )
    assert yaml.safe_load(done.stdout)["services"]["s"]["environment"] == told
