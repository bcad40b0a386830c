"""Render a plan as manifests, with one module for each format: as text, or as a folder for the format's own tool."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envctl.errors import UsageError
from envctl.files.writing import always, check_file, never, root_of, write_file
from envctl.plan.addressing import dns_label
from envctl.plan.model import File, Plan
from envctl.render.compose import compose_yaml, render_compose

if TYPE_CHECKING:
    from envctl.render.kubernetes import Options


@dataclass(frozen=True)
class Written:
    """A manifest as text, descriptions of what the format does not support, and notes for users."""

    text: str
    losses: tuple[str, ...]
    notes: tuple[str, ...] = ()


def write_manifests(plan: Plan, folder: Path | None, options: Options | None = None) -> Written:
    """Write `compose.yaml` and the files it needs, or `manifests.yaml`, to *folder*. Without a folder, only return the text.

    Raises:
        UsageError: the plan's engine has no manifests, or the folder cannot be written.
    """
    engine = plan.setting.engine
    if engine.manifests not in FORMATS:
        raise UsageError(f"{engine.name} processes have no manifests", hint=f"`envctl up --engine {engine.name}` starts them")
    name, written, binaries = FORMATS[engine.manifests](plan, options)
    if folder is not None:
        try:
            _write(Path(os.path.abspath(folder)), plan.setting.project, name, written.text, binaries)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
    return written


def _composed(plan: Plan, options: Options | None) -> tuple[str, Written, Mapping[str, File]]:
    rendered = render_compose(plan, standalone=True)
    text = f"# {plan.setting.environment}, rendered by envctl: docker compose up --wait\n" + compose_yaml(rendered)
    return "compose.yaml", Written(text, rendered.losses), rendered.binaries


def _clustered(plan: Plan, options: Options | None) -> tuple[str, Written, Mapping[str, File]]:
    from envctl.render.kubernetes import Options, manifests_yaml, render_kubernetes

    manifests = render_kubernetes(plan, options or Options(standalone=True, namespace=dns_label(plan.setting.id)))
    text = f"# {plan.setting.environment}, rendered by envctl: kubectl apply -f manifests.yaml\n" + manifests_yaml(manifests)
    return "manifests.yaml", Written(text, manifests.losses, manifests.notes), {}


FORMATS = {"compose": _composed, "kubernetes": _clustered}
"""The formats that an engine's traits can name. Each function returns the file's name, the manifest, and files to write beside it."""


def _write(folder: Path, project: Path, name: str, text: str, binaries: Mapping[str, File]) -> None:
    """Write the manifest and its files. Existing files are replaced only if *folder* contains a manifest that envctl wrote."""
    root, manifest = root_of(folder, project), folder / name
    check_file(manifest, root, ours=_is_rendered)
    before = always if manifest.is_file() and manifest.stat().st_size else never
    for path, file in binaries.items():
        with file.open() as content:
            write_file(folder / path, content, root, ours=before, mode=0o755 if file.executable else 0o644)
    write_file(manifest, text, root, ours=_is_rendered, mode=0o600)


def _is_rendered(content: bytes) -> bool:
    return b", rendered by envctl: " in content.partition(b"\n")[0]
