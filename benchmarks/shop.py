"""The shop (`environments/shop`) as each side brings it up and removes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.lifecycle import gone
from benchmarks.programs import COMPOSE, ENVCTL, environment, run, seconds, with_snapshots

NAME = "bench-envctl"
PROJECT = "bench-compose"


@dataclass(frozen=True)
class Ours:
    """An instance that only the benchmark uses."""

    env: Mapping[str, str]
    engine: str = "docker"

    @property
    def up_command(self) -> list[str]:
        return [ENVCTL, "up", "shop", "--name", f"{NAME}-{self.engine}", "--engine", self.engine]

    def up(self) -> float:
        return seconds(self.up_command, self.env)

    def down(self) -> float:
        return seconds([ENVCTL, "down", f"{NAME}-{self.engine}"], self.env)


@dataclass(frozen=True)
class Theirs:
    """The file that `envctl render` writes, run with plain Docker Compose."""

    file: Path

    def command(self, *words: str) -> list[str]:
        return [*COMPOSE, "-p", PROJECT, "-f", str(self.file), *words]

    def up(self) -> float:
        return seconds(self.command("up", "--wait"))

    def down(self) -> float:
        return seconds(self.command("down", "-t", "0", "-v"))


def ours(work: Path, engine: str = "docker") -> AbstractContextManager[Ours]:
    return gone(Ours(environment(work), engine))


@contextmanager
def ours_from_snapshots(work: Path) -> Iterator[Ours]:
    """Yield the side of envctl, with a snapshot of the shop's database built in advance."""
    env = with_snapshots(work)
    run([ENVCTL, "snapshots", "build", "shop", "--engine", "docker"], env)
    try:
        with gone(Ours(env)) as ours:
            yield ours
    finally:
        run([ENVCTL, "snapshots", "--prune"], env)


def theirs(file: Path) -> AbstractContextManager[Theirs]:
    return gone(Theirs(file))


def rendered(work: Path) -> Path:
    folder = work / "rendered"
    run([ENVCTL, "render", "shop", "--name", PROJECT, "-o", str(folder)], environment(work))
    return folder / "compose.yaml"


def lean(work: Path) -> Path:
    """Return the rendered file without the features that are slow in plain Compose: images are built in advance, texts are bind mounts."""
    file = rendered(work)
    tree: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    texts = {name: _written(work / "texts" / name, config["content"]) for name, config in tree.pop("configs", {}).items()}
    for service in tree["services"].values():
        service.pop("build", None)
        service.pop("pull_policy", None)
        mounts = [f"{texts[entry['source']]}:{entry['target']}:ro" for entry in service.pop("configs", [])]
        service["volumes"] = [*service.get("volumes", []), *mounts]
    return _written(work / "lean.yaml", yaml.safe_dump(tree, sort_keys=False))


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("$$", "$") if path.parent.name == "texts" else text, "utf-8")
    return path
