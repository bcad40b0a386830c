"""A short run of the inputs of `make fuzz`, always with the same seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.inputs import project
from tests.fuzz.runner import run


@pytest.mark.parametrize("batch", range(10))
def test_whatever_a_project_holds(batch: int, tmp_path: Path) -> None:
    for seed in range(batch * 10, batch * 10 + 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        arguments = project(seed, folder)
        assert run(arguments, folder) == "", (seed, arguments, (tmp_path / f"{seed}.output").read_text("utf-8", "replace")[-2000:])
