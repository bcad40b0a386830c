"""Find which project files an image contains: a migration tool can only run in an image that contains the migrations."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import NamedTuple

from envctl.definition.dockerfile_syntax import Instruction, Stage
from envctl.definition.dockerfile_syntax import stages as stages_of

MAX_STAGES = 30
_WITHOUT_DEV = re.compile(r"--omit[= ]dev|--production|--only[= ]prod|--prod\b|NODE_ENV[= ]production")


class Contents(NamedTuple):
    """The part of the build context that the last stage of a Dockerfile contains."""

    copied: tuple[str, ...] = (".",)
    without_dev_tools: bool = False
    """Whether development dependencies, such as migration tools, are left out."""

    def has(self, path: PurePosixPath) -> bool:
        """Return whether the image contains *path*, which is relative to the build context."""
        return any(path.is_relative_to(source) or PurePosixPath(source).is_relative_to(path) for source in self.copied)


def contents(steps: Iterable[Instruction]) -> Contents:
    """Return the contents of the image that *steps* build."""
    _, *stages = islice(stages_of(steps), MAX_STAGES + 1)
    if not stages:
        return Contents()
    copied = dict.fromkeys(
        os.path.normpath(source.strip("/") or ".").partition("*")[0].rstrip("/") or "." for source in _of_stage(len(stages) - 1, stages)
    )
    run = " ".join(f"{step.name} {step.rest}" for step in stages[-1].steps if step.name in ("RUN", "ENV"))
    return Contents(tuple(copied), _WITHOUT_DEV.search(run) is not None)


def _of_stage(number: int, stages: list[Stage]) -> Iterator[str]:
    """Yield the sources copied by a stage, including those of earlier stages that it is based on or copies completely."""
    stage = stages[number]
    yield from (source for step in stage.steps for source in copied_sources(step))
    if (base := _find(stage.base.lower(), number, stages)) is not None:
        yield from _of_stage(base, stages)
    for step in stage.steps:
        match = re.search(r"--from=(\S+)", step.rest) if step.name == "COPY" else None
        other = _find(match[1].lower(), number, stages) if match else None
        if other is not None and _whole_folder(step, stages[other]):
            yield from _of_stage(other, stages)


def _find(name: str, before: int, stages: list[Stage]) -> int | None:
    numbers = (index for index in range(before) if name and (stages[index].name == name or str(index) == name))
    return next(numbers, None)


def _whole_folder(step: Instruction, stage: Stage) -> bool:
    folder = next((each.rest.strip("\"'/") for each in reversed(stage.steps) if each.name == "WORKDIR"), "")
    words = [word for word in step.rest.split() if not word.startswith("--")]
    return any(word.strip("\"'/") in (folder, ".") for word in words[:-1])


def copied_sources(step: Instruction) -> list[str]:
    """Return the paths in the build context that a COPY or ADD instruction copies; an empty list for other instructions."""
    if step.name not in ("COPY", "ADD") or "--from=" in step.rest or "<<" in step.rest:
        return []
    words = re.findall(r"[^\s\[\]\",]+", step.rest)
    return [word for word in words[:-1] if not word.startswith("--") and "$" not in word and "://" not in word]
