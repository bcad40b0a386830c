"""Tests of the disk and memory that leases may use, as envctl.toml limits them."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.errors import DefinitionError
from envctl.leases.budget import UNKNOWN, budget_of, size_of
from envctl.units import Emptied, Size
from tests.builders import write


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("", Size(2 << 30, 512 << 20)),
        ("[leases]\ndisk = '300M'\n", Size(300 << 20, 512 << 20)),
        ("[leases]\nmemory = '1.5G'\n", Size(2 << 30, 3 << 29)),
    ],
)
def test_what_it_says(tmp_path: Path, text: str, most: Size) -> None:
    write(tmp_path, {"envctl.toml": text})
    assert budget_of(tmp_path).most == most


@pytest.mark.parametrize("value", ["'lots'", "'-1G'", "5", "''", "'1T'"])
def test_what_is_no_size(tmp_path: Path, value: str) -> None:
    write(tmp_path, {"envctl.toml": f"[leases]\ndisk = {value}\n"})
    with pytest.raises(DefinitionError) as error:
        budget_of(tmp_path)
    assert "envctl.toml:1: leases.disk: " in str(error.value)


def test_a_server_that_does_not_tell() -> None:
    class Silent(Emptied):
        def reset(self, template: str, unit: str) -> None: ...

    assert size_of(Silent(), "a") == UNKNOWN
