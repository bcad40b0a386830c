"""Render the pages as HTML to build/site with mkdocs-material: `python -m docs_tools.site` (`make site`).

The pages are copied to build/pages in the layout of the repository, so that their links work unchanged; the files that they link to are
copied, too. Any warning of MkDocs, such as a dead link, makes the command exit with 1.
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docs_tools.pages import PAGES, ROOT, links

BUILD = ROOT / "build"
SECTION = re.compile(r"^- \*\*(.+?):?\*\*(.*?)(?=^- |^$|\Z)", re.MULTILINE | re.DOTALL)
"""An entry of the README's list of pages: its heading, and the text with the links."""
NAMED = re.compile(r"\[([^\]]+)\]\(([^)#\s]+\.md)\)")
ASIDE = [ROOT / name for name in ("CHANGELOG.md", "SECURITY.md")]


def navigation(readme: str) -> list[dict[str, Any]]:
    """Return the navigation in the order of the README: first the pages to start with, then a section for each entry of `All pages`."""
    start, _, listed = readme.partition("## All pages")
    first = [{_title(text): target} for text, target in NAMED.findall(start.partition("**Start here:**")[2].partition("\n\n")[0])]
    sections = {heading: [{_title(text): target} for text, target in NAMED.findall(body)] for heading, body in SECTION.findall(listed)}
    return [{"envctl": "README.md"}, {"Start here": first}, *({heading: pages} for heading, pages in sections.items())]


def _title(text: str) -> str:
    plain = text.replace("`", "")
    return plain[0].upper() + plain[1:]


def stage(folder: Path) -> None:
    """Copy the pages and the files that they link to into *folder*; a link to a folder of the repository becomes plain text."""
    shutil.rmtree(folder, ignore_errors=True)
    waiting, seen = [*PAGES, *ASIDE], set[Path]()
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            _put(folder, page, _without_folders(page))
            targets = [target for target in _targets(page) if target.is_file()]
            waiting += [target for target in targets if target.suffix == ".md"]
            for target in targets:
                _put(folder, target, None)


def _targets(page: Path) -> set[Path]:
    return {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}


def _without_folders(page: Path) -> str:
    def kept(found: re.Match[str]) -> str:
        return found[1] if (page.parent / found[2]).is_dir() else found[0]

    return re.sub(r"\[([^\]]+)\]\(([^)#\s]+)\)", kept, page.read_text("utf-8"))


def _put(folder: Path, file: Path, text: str | None) -> None:
    target = folder / file.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        target.write_text(text, "utf-8")
    elif not target.exists():
        shutil.copyfile(file, target)


def main() -> int:
    # Imported here, because the navigation is tested where MkDocs is not installed.
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    logging.basicConfig(format="%(levelname)s %(message)s")
    stage(BUILD / "pages")
    nav = navigation((ROOT / "README.md").read_text("utf-8"))
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(BUILD / "pages"), nav=nav, strict=True))
    except Abort as error:
        print(error.message, file=sys.stderr)
        return 1
    print(f"wrote {(BUILD / 'site' / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
