"""A process of this machine as the keeper is given it, and as later commands read it again: they need no kinds for that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spec:
    """What is handed to the keeper, and kept for the commands that come later."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    user: int | None = None
    limits: Mapping[str, int | float] = field(default_factory=dict)
    stop_signal: str = "SIGTERM"
    inherits: bool = False
    """A program of the team's own gets what it would get in this shell, too. (That is not kept: there may be tokens in it.)"""
    mark: str = ""
    """A hash of what the definition says: another one means another process."""

    @property
    def environment(self) -> dict[str, str]:
        """All of its variables; options of ours are none of its business."""
        shell = {key: value for key, value in os.environ.items() if not key.startswith("ENVCTL_")} if self.inherits else {}
        return {"PYTHONUNBUFFERED": "1", **shell, **self.env}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Spec:
        return cls(**{**kept, "argv": tuple(kept["argv"])})


def resolved(argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> tuple[str, ...]:
    """The program of *argv* by the PATH of *env*, as a shell in *cwd* finds it."""
    if "/" in argv[0]:
        return argv
    return (shutil.which(argv[0], path=env.get("PATH")) or argv[0], *argv[1:])
