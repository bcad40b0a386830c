"""Generate a page for each test tool from `examples/`: its README, its entry under `tests:`, and its suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from docs_tools.markdown import table

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DEFINITION = EXAMPLES / "shop.yaml"
SUITES = {
    "pytest": "test_shop.py",
    "testcontainers": "conftest.py",
    "newman": "",  # a JSON file would not help the reader
    "vitest": "tests/shop.test.js",
    "playwright": "tests/page.spec.js",
    "go": "shop_test.go",
    "junit": "src/test/java/shop/OrdersTest.java",
    "karate": "src/test/java/shop/orders.feature",
    "cypress": "cypress/e2e/shop.cy.js",
    "keploy": "keploy/test-set-0/tests/wrong-password.yaml",
}
"""The tools in the order of their pages, each with the file that shows what a test looks like; empty for none."""


def overview() -> str:
    """Return a table with a row for each tool."""
    rows = [[f"[{title(name)}](tools/{name}.md)", f"`envctl test examples/shop.yaml {name}`", told(name, "Tested")] for name in SUITES]
    return table(["Tool", "Command", "Tested"], rows)


def pages() -> Mapping[str, str]:
    """Return the text of each tool's page, by the tool's name."""
    return {name: _page(name) for name in SUITES}


def readme(name: str) -> str:
    return (EXAMPLES / name / "README.md").read_text("utf-8")


def title(name: str) -> str:
    return readme(name).partition("\n")[0].removeprefix("# ")


def told(name: str, what: str) -> str:
    """Return the cell that the README of the tool *name* has in the row *what*.

    Raises:
        ValueError: The README has no such row.
    """
    found = re.search(rf"^\| {what} \| (.*) \|$", readme(name), re.MULTILINE)
    if found is None:
        raise ValueError(f"examples/{name}/README.md has no row '{what}'")
    return found[1]


def _page(name: str) -> str:
    text = readme(name).replace("](../", "](../../examples/").strip()
    parts = [text, "In the definition ([all of it](../../examples/shop.yaml)):", f"```yaml\ntests:\n{entry(name)}```"]
    if suite := SUITES[name]:
        file = EXAMPLES / name / suite
        parts += [f"[{suite}](../../examples/{name}/{suite}):", f"```{file.suffix[1:]}\n{file.read_text('utf-8')}```"]
    return "\n\n".join([f"<!-- generated from examples/{name}: `make docs` -->", *parts]) + "\n"


def entry(name: str) -> str:
    """Return the lines of the tool *name* under `tests:` in the definition.

    Raises:
        ValueError: The definition has no such test.
    """
    _, _, tests = DEFINITION.read_text("utf-8").partition("\ntests:\n")
    found = re.search(rf"^  {name}:\n(?:    .*\n)+", tests, re.MULTILINE)
    if found is None:
        raise ValueError(f"examples/shop.yaml has no test '{name}'")
    return found[0]
