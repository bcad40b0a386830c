"""The shop on a cluster, as each side brings it up and removes it, and the registry for images that are built here."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.lifecycle import gone
from benchmarks.programs import ENVCTL, environment, run, seconds

REGISTRY = os.environ.get("ENVCTL_REGISTRY", "127.0.0.1:5000")
OPTIONS = ("--engine", "kubernetes", "--registry", REGISTRY)
NAME = "bench-cluster"
PATIENCE = "--timeout=300s"


class Ours:
    """An instance that only the benchmark uses."""

    def __init__(self, work: Path, definition: str = "shop") -> None:
        self.env, self.definition = environment(work), definition

    @property
    def command(self) -> list[str]:
        return [ENVCTL, "up", self.definition, "--name", NAME, *OPTIONS]

    def up(self) -> float:
        return seconds(self.command, self.env)

    def shown(self) -> Any:
        """Return the document that `up --json` prints; bring the instance up if it is not."""
        return json.loads(run([*self.command, "--json"], self.env))

    def down(self) -> None:
        for record in Path(self.env["XDG_STATE_HOME"], "envctl").glob(f"{NAME}-*"):
            run([ENVCTL, "down", record.name], self.env)


class Theirs:
    """The manifests that `envctl render` writes, applied by kubectl, which waits until all pods are ready."""

    def __init__(self, work: Path) -> None:
        self.namespace, self.folder = "bench-kubectl", work / "rendered"
        run([ENVCTL, "render", "shop", "--name", self.namespace, *OPTIONS, "-o", str(self.folder)], environment(work))

    def up(self) -> float:
        applied = seconds(["kubectl", "apply", "-f", str(self.folder / "manifests.yaml")])
        return applied + seconds(["kubectl", "wait", "-n", self.namespace, "--for=condition=Ready", "pod", "--all", PATIENCE])

    def down(self) -> None:
        run(["kubectl", "delete", "namespace", self.namespace, "--ignore-not-found"])


def ours(work: Path, definition: str = "shop") -> AbstractContextManager[Ours]:
    return gone(Ours(work, definition))


def theirs(work: Path) -> AbstractContextManager[Theirs]:
    return gone(Theirs(work))
