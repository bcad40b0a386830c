"""Manifests as text, or as a folder that the target's own tool runs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from envctl.errors import UsageError, did_you_mean
from envctl.plan.model import Plan
from envctl.render.compose import compose_yaml, render_compose

TARGETS = ("docker",)


@dataclass(frozen=True)
class Written:
    text: str
    losses: tuple[str, ...]


def write_manifests(plan: Plan, engine: str, folder: Path | None) -> Written:
    """`compose.yaml` in *folder* with the files it needs; the text alone without a folder.

    Raises:
        UsageError: there is no such target, or the folder cannot be written.
    """
    if engine == "local":
        raise UsageError("local processes have no manifests", hint="`envctl up --engine local` starts them; `render` is for docker")
    if engine not in TARGETS:
        raise UsageError(f"nothing can be rendered for '{engine}'", hint=did_you_mean(engine, TARGETS))
    rendered = render_compose(plan, standalone=True)
    text = f"# {plan.setting.environment}, rendered by envctl: docker compose up --wait\n" + compose_yaml(rendered)
    if folder is not None:
        try:
            _write(folder, text, rendered.binaries)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
    return Written(text, rendered.losses)


def _write(folder: Path, text: str, binaries: object) -> None:
    assert isinstance(binaries, dict)
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in binaries.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file.source, target)
    beside = folder / ".compose.yaml.new"
    beside.write_text(text, "utf-8")
    os.replace(beside, folder / "compose.yaml")
