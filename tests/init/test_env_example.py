"""Tests of `init` with a hostile `.env.example`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from envctl.init.env_example import MAX_VALUE, variables
from envctl.init.project_files import ProjectFiles


def test_long_values_are_passed_over_and_do_not_grow(tmp_path: Path) -> None:
    lines = ["A0=" + "x" * 100, *(f"A{n}=" + f"${{A{n - 1}}}" * 10 for n in range(1, 9)), "B=" + "${A:-" * 60_000, "LAST=1"]
    (tmp_path / ".env.example").write_text("\n".join(lines), "utf-8")
    found = variables(ProjectFiles(tmp_path, (PurePosixPath(".env.example"),)))
    assert found[-1].name == "LAST"
    assert all(len(variable.value) <= MAX_VALUE for variable in found)
