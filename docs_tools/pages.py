"""Parse the pages for the tests of the documentation: fenced blocks and their file names, links and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?:^`([^`\n]+)`:\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A fenced block; a line before the block that consists of a path and a colon names the project file that the block shows."""
EMPTY = re.compile(r"^<!-- files: (.+) -->$", re.MULTILINE)
"""A comment that lists files that examples refer to and whose content does not matter."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`(envctl [^`\n]+)`(?!`)")
SCRIPTED = re.compile(r"^\s*(?:- run: |run: )?(envctl .+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    file: str
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def definition(self) -> str:
        """The path of the definition file; empty if the block is no definition."""
        if self.language != "yaml" or (self.file and not self.file.startswith("environments/")):
            return ""
        name = re.match(r"(?:#.*\n)*name: ([\w-]+)\n", self.text)
        return self.file or f"environments/{name[1]}.yaml" if name else ""


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1] or "", found[2], found[3])


@dataclass(frozen=True)
class Step:
    """A command line of a page that is followed from top to bottom, with the exit code and the output that the page states."""

    line: str
    status: int
    shown: tuple[str, ...]
    """Texts that the output contains, in this order."""


def steps(page: Path) -> Iterator[Block | Step]:
    """Yield the files and the commands of *page* in order, as a reader follows them."""
    found = list(blocks(page))
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.file:
            yield block
        elif block.language == "sh":
            shown = after.text.splitlines() if after and after.language == "text" and not after.file else []
            *lines, last = block.text.splitlines()
            yield from (Step(line, _status(line), ()) for line in lines)
            yield Step(last, _status(last), tuple(shown))


def _status(line: str) -> int:
    said = re.search(r"# exit code (\d+)", line)
    return int(said[1]) if said else 0


LEAST = {".json": '{"mappings": []}', ".csv": "id\n"}
"""By suffix: the minimal content of a file."""


def write_project(page: Path, folder: Path) -> None:
    """Write every file and definition of *page* to the project *folder*."""
    (folder / "envctl.toml").touch()
    for name in (name for found in EMPTY.finditer(page.read_text("utf-8")) for name in found[1].split()):
        write(folder / name, LEAST.get(Path(name).suffix, ""))
    for block in blocks(page):
        if name := block.file or block.definition:
            write(folder / name, block.text)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each `envctl ...` in shell blocks and workflows: its place, and the line without comment, pipe or redirection."""
    for block in blocks(page):
        if block.language in ("sh", "yaml"):
            for found in SCRIPTED.finditer(block.text):
                yield block.where, re.split(r"\s+#|\s+[|>]{1,2}\s|\s+&&", found[1])[0]


def mentions(page: Path) -> Iterator[str]:
    """Yield each `envctl ...` in running text, which may be incomplete."""
    yield from (found[1] for found in INLINE.finditer(FENCE.sub("", page.read_text("utf-8"))))


def links(page: Path) -> Iterator[str]:
    yield from (target for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))) if "://" not in target)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings as GitHub names them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
