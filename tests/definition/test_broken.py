"""Each file of `broken/` has exactly the mistakes that its header lists, as `line: path: message`."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from envctl.definition.kinds import load_kinds
from envctl.definition.load import load
from envctl.engines.registry import traits
from envctl.environment import check
from envctl.errors import DefinitionError, Problem

FOLDER = Path(__file__).parent / "broken"
FILES = sorted(FOLDER.glob("*.yaml"))
EXPECTED = re.compile(r"# (?:(?P<file>[\w./]+):)?(?P<line>\d+): (?P<path>.*?): (?P<message>.+)")


def expected(file: Path) -> list[re.Match[str]]:
    return [found for line in file.read_text("utf-8").splitlines() if (found := EXPECTED.fullmatch(line))]


def place(problem: Problem) -> tuple[str, int, str]:
    return os.path.relpath(problem.file, FOLDER), problem.line, problem.path


def test_the_table_is_large() -> None:
    assert len(FILES) >= 70


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_broken_definition(file: Path) -> None:
    loaded = load(file, project=FOLDER, environ={})
    problems = set(loaded.problems) | set(check(loaded, load_kinds(FOLDER), {}))
    wanted = expected(file)
    assert Counter(map(place, problems)) == Counter((match["file"] or file.name, int(match["line"]), match["path"]) for match in wanted)
    for match in wanted:
        text = match["message"].replace("PROJECT", str(FOLDER))
        here = [str(problem) for problem in problems if place(problem)[1:] == (int(match["line"]), match["path"])]
        assert any(text in problem for problem in here), here


def test_a_cycle_is_found_by_the_plan(tmp_path: Path) -> None:
    from envctl.environment import open_environment
    from envctl.plan.make import make_plan
    from envctl.plan.model import Setting

    environment = open_environment(FOLDER / "plan_cycle.yaml", cwd=FOLDER, environ={})
    setting = Setting("shop", "shop-000000", "shop", tmp_path, traits("docker"), secret=lambda service, parameter: "x")
    with pytest.raises(DefinitionError, match=r"plan_cycle\.yaml:\d+: .*services need each other: a -> b -> a"):
        make_plan(environment, setting)


UNREADABLE = {
    "binary": (b"name: shop\n\0\1\2", ":2: the file is binary"),
    "utf16": ("name: shop\n".encode("utf-16"), ":1: the file is UTF-16; save it as UTF-8"),
    "latin1": ("name: shop\ndescription: caf\u00e9\n".encode("latin-1"), ":2: the byte 0xE9 is not valid UTF-8"),
    "nothing": (b"", ":1: the file is empty"),
    "huge": (b"# " + b"x" * 5_000_000, "shop.yaml is larger than 5 MB"),
    "deep": (b"[" * 200_000, ":1: this is nested deeper than"),
    "deep_maps": (b"name: " + b"{a: " * 5000, ":1: this is nested deeper than"),
    "unclosed": (b"name: [", "not valid YAML"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(content)
    loaded = load(file, project=tmp_path, environ={})
    assert loaded.definition is None
    assert len(loaded.problems) == 1
    assert message in str(loaded.problems[0])


def test_a_file_that_is_none(tmp_path: Path) -> None:
    messages = [str(load(path, project=tmp_path, environ={}).problems[0]) for path in (tmp_path, tmp_path / "no.yaml")]
    assert "this is a folder" in messages[0]
    assert "cannot be read: No such file or directory" in messages[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("name: shop\n")
    file.chmod(0)
    assert "cannot be read: Permission denied" in str(load(file, project=tmp_path, environ={}).problems[0])


def test_a_link_that_leads_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.sql").write_text("select 1;")
    project = tmp_path / "project"
    project.mkdir()
    (project / "seed.sql").symlink_to(tmp_path / "secret.sql")
    file = project / "shop.yaml"
    file.write_text("name: shop\nservices:\n  db:\n    kind: postgres\n    seed:\n      - sql: seed.sql\n")
    (problem,) = load(file, project=project, environ={}).problems
    assert (problem.line, problem.path) == (6, "services.db.seed.0.sql")
    assert "outside of the project" in problem.message
