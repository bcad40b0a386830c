"""Write the generated documentation.

This is schema.json, the pages of docs/tools/, and in other pages each block between `<!-- generated: NAME -->` and `<!-- /generated -->`.

`python -m docs_tools.generate` (`make docs`) writes the files; with `--check` it only reports files that are out of date, and exits with 1
if any are.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs_tools.commands_page import commands, options_table, tree_of_errors
from docs_tools.kinds_page import kinds, overview
from docs_tools.schema_page import definition
from docs_tools.tools_page import overview as tools_overview
from docs_tools.tools_page import pages as tool_pages
from envctl.definition.json_schema import json_schema
from envctl.definition.kinds import load_kinds

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SCHEMA = DOCS / "schema.json"
RESULTS = ROOT / "benchmarks" / "results.md"
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def results() -> str:
    """Return the benchmark results that `python -m benchmarks --write` wrote."""
    return RESULTS.read_text("utf-8") if RESULTS.exists() else "Not measured yet: `make bench`.\n"


SHOWN = (
    ("`envctl up shop`, seeded", "the file that `envctl render` writes"),
    ("`envctl up shop`, seeded", "with bind mounts"),
    ("`envctl up shop`, seeded", "testcontainers-python"),
    ("`envctl down` of the shop", "docker compose down"),
)
"""The rows of the README: the measured command, and part of the text that names the comparison. Some are comparisons that envctl loses."""


def chosen_results() -> str:
    """Return the rows of SHOWN as a table, without the goals, which the README does not explain."""
    head, line, *rows = (row.split("|")[1:6] for row in results().splitlines() if row.startswith("|"))
    chosen = [next(row for row in rows if row[0].strip() == what and part in row[1]) for what, part in SHOWN]
    return "\n".join(f"|{'|'.join(cells)}|" for cells in (head, line, *chosen))


BLOCKS: Mapping[str, Callable[[], str]] = {
    "benchmarks": results,
    "benchmarks-chosen": chosen_results,
    "commands": commands,
    "definition": definition,
    "errors": tree_of_errors,
    "kinds": kinds,
    "kinds-overview": overview,
    "options": options_table,
    "tools": tools_overview,
}


def main(arguments: list[str]) -> int:
    """Write or check the generated files, and return the exit code."""
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
    """Return the page *text* with the content of its generated blocks renewed."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]().strip()}\n\n{block[3]}", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
