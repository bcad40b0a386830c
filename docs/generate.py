"""Writes what is generated: schema.json, the pages of tools/, and in pages whatever stands between `<!-- generated: NAME -->` and its end.

`python -m docs.generate` (`make docs`) writes; with `--check` it only says what is out of date, and ends with 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.commands_page import commands, options_table, tree_of_errors
from docs.kinds_page import kinds, overview
from docs.schema_page import definition
from docs.tools_page import overview as tools_overview
from docs.tools_page import pages as tool_pages
from envctl.definition.json_schema import json_schema
from envctl.definition.kinds import load_kinds

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SCHEMA = DOCS / "schema.json"
RESULTS = ROOT / "benchmarks" / "results.md"
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def results() -> str:
    """What `python -m benchmarks --write` has measured."""
    return RESULTS.read_text("utf-8") if RESULTS.exists() else "Not measured yet: `make bench`.\n"


BLOCKS: Mapping[str, Callable[[], str]] = {
    "benchmarks": results,
    "commands": commands,
    "definition": definition,
    "errors": tree_of_errors,
    "kinds": kinds,
    "kinds-overview": overview,
    "options": options_table,
    "tools": tools_overview,
}


def main(arguments: list[str]) -> int:
    stale = {path: text for path, text in _wanted().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is not up to date: `make docs`", file=sys.stderr)
        else:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


def _wanted() -> dict[Path, str]:
    pages = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
    schema = json.dumps(json_schema(load_kinds()), indent=2, ensure_ascii=False) + "\n"
    tools = {DOCS / "tools" / f"{name}.md": text for name, text in tool_pages().items()}
    return {SCHEMA: schema, **tools, **{page: filled(page.read_text("utf-8")) for page in pages}}


def filled(text: str) -> str:
    """A page with the blocks that it has written anew."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]().strip()}\n\n{block[3]}", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
