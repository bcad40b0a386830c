"""What stands in a page: fenced blocks and their file names, links, headings. For the tests of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?:^`([^`\n]+)`:\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A line that is a path and a colon before a block makes the block that file of the project."""
EMPTY = re.compile(r"^<!-- files: (.+) -->$", re.MULTILINE)
"""Files that examples refer to, and whose contents do not matter."""
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
        """The file of a definition; empty where the block is none."""
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
    """A command line of a page that is followed from top to bottom, with what the page says about it."""

    line: str
    status: int
    shown: tuple[str, ...]
    """Texts of the output, in this order."""


def steps(page: Path) -> Iterator[Block | Step]:
    """The files and the commands of *page* in its order: what a reader does who does everything that it says."""
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
"""What a file of that kind holds at least."""


def write_project(page: Path, folder: Path) -> None:
    """Every file and definition of *page* in a project of its own."""
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
    """`envctl ...` in shell blocks and workflows: where, and the line without its comment, pipe or redirection."""
    for block in blocks(page):
        if block.language in ("sh", "yaml"):
            for found in SCRIPTED.finditer(block.text):
                yield block.where, re.split(r"\s+#|\s+[|>]{1,2}\s|\s+&&", found[1])[0]


def mentions(page: Path) -> Iterator[str]:
    """`envctl ...` within sentences, which may leave words out."""
    yield from (found[1] for found in INLINE.finditer(FENCE.sub("", page.read_text("utf-8"))))


def links(page: Path) -> Iterator[str]:
    yield from (target for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))) if "://" not in target)


def anchors(page: Path) -> set[str]:
    """The headings as GitHub names them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
