"""The command `init`: write a first environment from what it finds in the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from envctl.definition.find import FOLDER
from envctl.definition.models import NAME, RESERVED
from envctl.errors import EnvctlError, UsageError
from envctl.files.writing import always, never, write_file
from envctl.init import ProjectFindings, Proposal, Proved, gather, proposal_yaml, propose, prove
from envctl.process.terminal import give, show, tell

SCHEMA = "envctl.schema.json"


def init_(
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="N", help="The environment's name (default: the folder's).", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask no questions.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    print_: Annotated[bool, typer.Option("--print", help="Print the definition; write nothing.")] = False,
    from_keploy: Annotated[
        Path | None,
        typer.Option("--from-keploy", metavar="DIR", help="Make stubs from the mocks of recorded Keploy tests.", show_default=False),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help=f"Write {FOLDER}/{SCHEMA} too, for completion in editors.")] = False,
) -> None:
    """Write a first environment to environments/, from what it finds in your project."""
    root = Path.cwd()
    findings = gather(root, _checked(name) if name else "", from_keploy and root / from_keploy)
    asks = not (yes or print_) and sys.stdin.isatty()
    if asks and not name:
        findings = replace(findings, name=_asked_name(findings.name))
    proved = prove(findings, root, os.environ, _refused(findings) if asks else ())
    proposal = proved.proposal
    _tell_proof(proved)
    text = proposal_yaml(proposal, SCHEMA if schema else "")
    if print_:
        give(text)
        return
    files = {f"{proposal.name}.yaml": text, **proposal.files, **(_schema(root) if schema else {})}
    written = write(root / FOLDER, files, {SCHEMA} if not force else set(files))
    _tell(root, written, proposal)


def _checked(name: str) -> str:
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(f"--name {name}: use letters, digits, - and _, at most 40, and none of {', '.join(RESERVED)}")
    return name


def _asked_name(default: str) -> str:
    while True:
        try:
            return _checked(str(typer.prompt("The environment's name", default=default, err=True)))
        except UsageError as error:
            tell(str(error))


def _refused(findings: ProjectFindings) -> list[str]:
    """Return the names of uncertain services that the user does not want in the environment."""
    unsure = [service for service in propose(findings).services if not service.sure]
    return [service.name for service in unsure if not _wanted(service.name, service.kind, service.because)]


def _wanted(name: str, kind: str, because: str) -> bool:
    return typer.confirm(f"Include {name} ({kind or 'service'}; {because})?", default=True, err=True)


def _schema(root: Path) -> dict[str, str]:
    import json

    from envctl.definition.json_schema import json_schema
    from envctl.definition.kinds import load_kinds

    return {SCHEMA: json.dumps(json_schema(load_kinds(root)), indent=2, ensure_ascii=False) + "\n"}


def write(folder: Path, files: Mapping[str, str], replaceable: set[str]) -> list[Path]:
    """Write *files* into *folder* and return their paths. If a file exists already, write none of them.

    Args:
        files: names of files, each with its text.
        replaceable: the names of files that may be replaced.

    Raises:
        UsageError: a file exists and is not *replaceable*; nothing was written.
        EnvctlError: a file cannot be written.
    """
    existing = list(_existing(folder, [name for name in files if name not in replaceable]))
    if existing:
        raise UsageError(
            f"{existing[0]} exists already",
            hint="`--name` makes another environment, `--force` replaces this one, `--print` writes nothing",
        )
    paths = []
    try:
        for name, text in files.items():
            write_file(folder / name, text, folder.parent, ours=always if name in replaceable else never)
            paths.append(folder / name)
    except OSError as error:
        raise EnvctlError(f"{folder} cannot be written: {error.strerror}") from None
    return paths


def _existing(folder: Path, names: list[str]) -> Iterator[Path]:
    """Yield the existing files in *folder* that conflict with the file names *names*.

    `NAME.yaml`, `NAME.yml` and `NAME/environment.yaml` all define the environment NAME.
    """
    for name in names:
        path = folder / name
        same = [path] if path.parent != folder else [path, path.with_suffix(".yml"), folder / path.stem / "environment.yaml"]
        yield from (candidate for candidate in same if candidate.exists())


def _tell_proof(proved: Proved) -> None:
    for text in proved.left_out:
        tell(f"left out: {text}")
    if proved.unproved:
        tell(f"not checked: {proved.unproved}; run `envctl validate` once that is there")


def _tell(root: Path, written: list[Path], proposal: Proposal) -> None:
    for path in written:
        show(f"wrote {path.relative_to(root)}")
    unsure = [service.name for service in proposal.services if not service.sure]
    if unsure:
        tell(f"check {', '.join(unsure)} first: that the tests need {'this' if len(unsure) == 1 else 'these'} is a guess")
    tell(f"next: envctl up {proposal.name}" + (f", or envctl test {proposal.name}" if proposal.tests else ""))
