"""Test that the paths which the documentation names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs_tools.pages import ROOT

PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PATH = re.compile(r"`((?:envctl|tests|templates|docs|docs_tools)/[^`\s]*)`")
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b")
"""Matches a name that the reader chooses, such as NAME; only its folder is checked."""
OWN = re.compile(r"^`[^`]+`:$", re.MULTILINE)
"""Matches the name of a file whose content the page shows; the reader creates this file."""
EXAMPLES = {"templates/kinds/warehouse.yaml": "a kind that the page has the reader write", "envctl/lane2/": "a prefix of topics"}


def named(text: str) -> list[str]:
    """Return the paths in *text* without those of the column "New files" in docs/architecture.md, which do not exist yet."""
    before, _, table = OWN.sub("", text).partition("| What | New files |")
    rows = [re.sub(r"^(\|[^|]*\|)[^|]*\|", r"\1", line) for line in table.splitlines()]
    return [path for path in PATH.findall("\n".join([before, *rows])) if path not in EXAMPLES]


def is_there(path: str) -> bool:
    found = PLACEHOLDER.search(path)
    return (ROOT / (path[: found.start()].rpartition("/")[0] if found else path)).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_backticks_are_there(page: Path) -> None:
    assert [path for path in named(page.read_text("utf-8")) if not is_there(path)] == []


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "docs" / "tools").glob("*.md"))], ids=lambda page: page.name)
def test_bold_text_begins_with_two_asterisks(page: Path) -> None:
    """Markdown renders three asterisks as one, and the text after them in italics."""
    assert [line for line in page.read_text("utf-8").splitlines() if "***" in line] == []


def test_what_is_checked() -> None:
    text = "`tests/shown.py`:\n`envctl/gone.py` `docs/gone/NAME.yaml`\n"
    text += "| What | New files | Elsewhere |\n| a | `envctl/new.py` | `envctl/old.py` |\n"
    assert named(text) == ["envctl/gone.py", "docs/gone/NAME.yaml", "envctl/old.py"]
    assert not any(map(is_there, named(text)))
    assert is_there("envctl/outputs/NAME.py")
