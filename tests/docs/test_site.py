"""Tests that README leads to every page and that the site's navigation matches README; `make site` tests the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs_tools import pages, site
from docs_tools.pages import PAGES, ROOT

README = ROOT / "README.md"


def reachable(page: Path, seen: set[Path]) -> set[Path]:
    """Return *page* and all pages that its links reach, directly or indirectly; add them to *seen*."""
    seen.add(page)
    for link in pages.links(page):
        target = (page.parent / link.partition("#")[0]).resolve()
        if target.suffix == ".md" and target.is_file() and target not in seen:
            reachable(target, seen)
    return seen


def test_readme_leads_to_every_page() -> None:
    assert set(PAGES) - reachable(README, set()) == set()


def test_the_navigation_has_what_readme_lists() -> None:
    text = """**Start here:** [tutorial](docs/tutorial.md)
and [Compose](docs/from-compose.md)

## All pages

- **Write:** [kinds](docs/kinds.md), [what `init` reads](docs/init.md#a)
- **Run:** [commands](docs/commands.md)
  and [CI](docs/ci.md)
"""
    assert site.navigation(text) == [
        {"envctl": "README.md"},
        {"Start here": [{"Tutorial": "docs/tutorial.md"}, {"Compose": "docs/from-compose.md"}]},
        {"Write": [{"Kinds": "docs/kinds.md"}]},
        {"Run": [{"Commands": "docs/commands.md"}, {"CI": "docs/ci.md"}]},
    ]
    assert {name for section in site.navigation(README.read_text("utf-8")) for name in section} >= {"Start here", "Write", "Run"}


def test_a_page_keeps_its_links_but_for_those_to_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docs/data.json", "templates/kinds/a.yaml"):
        pages.write(tmp_path / name, "{}")
    pages.write(tmp_path / "docs/page.md", "[data](data.json), [kinds](../templates/kinds), [itself](#top)")
    monkeypatch.setattr(site, "ROOT", tmp_path)
    monkeypatch.setattr(site, "PAGES", [tmp_path / "docs/page.md"])
    monkeypatch.setattr(site, "ASIDE", [])
    site.stage(tmp_path / "build")
    assert (tmp_path / "build/docs/page.md").read_text("utf-8") == "[data](data.json), kinds, [itself](#top)"
    assert (tmp_path / "build/docs/data.json").is_file()
