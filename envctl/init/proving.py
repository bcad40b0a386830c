"""Validate and plan a proposal before it is shown, as `envctl validate` does. Leave out and report its invalid parts."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envctl.definition.find import FOLDER, find_project
from envctl.definition.kinds import load_kinds, recogniser
from envctl.definition.load import load
from envctl.definition.source import displayed
from envctl.environment import Environment, check
from envctl.errors import DefinitionError, EngineMissing, Problem
from envctl.init.images import known_servers
from envctl.init.model import ROOT, KeyValue, ProjectFindings, Proposal, ProposedService, SeenServer
from envctl.init.proposal_yaml import proposal_yaml
from envctl.init.propose import propose
from envctl.init.repair import without
from envctl.plan.make import make_plan
from envctl.plan.render_setting import render_setting
from envctl.plan.traits import UNDECIDED

MAX_ROUNDS = 30


@dataclass(frozen=True)
class Proved:
    """A valid proposal, and descriptions of the parts that were left out to make it valid."""

    proposal: Proposal
    left_out: tuple[str, ...] = ()
    unproved: str = ""
    """Why the proposal could not be checked; empty if it was checked."""


def prove(findings: ProjectFindings, root: Path, environ: Mapping[str, str], refused: Collection[str] = ()) -> Proved:
    """Return the proposal for *findings* without its invalid parts.

    Args:
        refused: names of services that the user does not want.

    Raises:
        DefinitionError: the proposal is invalid, and leaving parts out does not help.
    """
    proposal = propose(findings, refused)
    left_out: list[str] = []
    for _ in range(MAX_ROUNDS):
        try:
            problems = _problems(proposal, root, environ)
        except EngineMissing as error:
            return Proved(_noted(proposal, left_out), tuple(left_out), error.message)
        if not problems:
            return Proved(_noted(proposal, left_out), tuple(left_out))
        if proposal.compose_file and (problem := _of_compose(problems, proposal, root)):
            if findings.compose_override is not None:  # The main Compose file may be valid without the override.
                left_out.append(f"{findings.compose_override}, which is not read with {findings.compose_file}: {_shown(problem, root)}")
                findings = replace(findings, compose_override=None)
            else:
                left_out.append(_said_of_compose(findings, problem, root))
                findings = _without_compose(findings, root)
            proposal = propose(findings, refused)
            continue
        proposal = _repaired(proposal, problems, left_out)
    raise DefinitionError(problems)


def _problems(proposal: Proposal, root: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Return the problems that `envctl validate` would report if *proposal* were written to its file."""
    file = root / FOLDER / f"{proposal.name}.yaml"
    project, text = find_project(file, root), proposal_yaml(_with_written_files(proposal))
    kinds = load_kinds(project)
    try:
        loaded = load(file, project=project, environ=environ, recognise=recogniser(kinds), text=text)
        problems = [*loaded.problems, *check(loaded, kinds, environ)]
        if not problems and loaded.definition is not None:
            environment = Environment(loaded, loaded.definition, kinds)
            make_plan(environment, render_setting(environment, proposal.name, UNDECIDED, {}))
    except DefinitionError as error:
        return error.problems
    return problems


def _with_written_files(proposal: Proposal) -> Proposal:
    """Return *proposal* without references to the files that `init` will write beside it, because these do not exist yet."""
    return replace(proposal, services=tuple(_without_routes(service, proposal) for service in proposal.services))


def _without_routes(service: ProposedService, proposal: Proposal) -> ProposedService:
    body = tuple(entry for entry in service.body if not _names_a_file(entry, proposal))
    return service._replace(body=body)


def _names_a_file(entry: KeyValue, proposal: Proposal) -> bool:
    return entry.key == "with" and isinstance(entry.value, tuple) and any(each.value in proposal.files for each in entry.value)


def _of_compose(problems: list[Problem], proposal: Proposal, root: Path) -> Problem | None:
    """Return the first problem that is in the Compose file and not in the definition."""
    own = displayed(Path(os.path.abspath(root / FOLDER / f"{proposal.name}.yaml")))
    return next((problem for problem in problems if problem.file != own or problem.path.partition(".")[0] in ("from", "name")), None)


def _said_of_compose(findings: ProjectFindings, problem: Problem, root: Path) -> str:
    said = _shown(problem, root)
    text = f"{findings.compose_file}, which cannot be used: {said}"
    example = next((str(variable.file) for variable in findings.variables if variable.origin == "example"), "")
    needs_variables = (
        re.search(r"\.env\b|variable|empty|not set", said)
        and findings.compose_file is not None
        and not (root / findings.compose_file.parent / ".env").exists()
    )
    return f"{text} (perhaps `cp {example} .env` helps; then `envctl init --force`)" if example and needs_variables else text


def _shown(problem: Problem, root: Path) -> str:
    return problem.message.replace(f"{os.path.abspath(root)}/", "")


def _without_compose(findings: ProjectFindings, root: Path) -> ProjectFindings:
    """Return *findings* without the Compose file, but with its recognised servers, because the tests still need them."""
    file = findings.compose_file or ROOT
    seen = [SeenServer(each.name, each.image, each.environment, file) for each in findings.compose_services if each.recognised]
    known = tuple(known_servers(root, seen)) if not findings.known_servers else ()
    return replace(findings, compose_file=None, compose_services=(), known_servers=(*findings.known_servers, *known))


def _repaired(proposal: Proposal, problems: list[Problem], left_out: list[str]) -> Proposal:
    """Return *proposal* without the entries that have *problems* in its first faulty section.

    The sections are variables, services, outputs and tests. Problems in later sections may be consequences of earlier ones.

    Raises:
        DefinitionError: no entry with a problem can be removed.
    """
    sections = [problem.path.partition(".")[0] for problem in problems]
    first = next((name for name in ("variables", "services", "outputs", "tests") if name in sections), "")
    repaired = proposal
    for problem in sorted(problems, key=lambda problem: _order(problem.path), reverse=True):
        if problem.path.startswith(f"{first}."):
            repaired = without(repaired, problem.path)
            left_out.append(f"{problem.path}: {problem.message}")
    if repaired == proposal:
        raise DefinitionError(problems)
    return repaired


def _order(path: str) -> list[tuple[int, str]]:
    """Return a sort key for *path* that orders list items by number, so that the last item can be removed first."""
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in path.split(".")]


def _noted(proposal: Proposal, left_out: list[str]) -> Proposal:
    return replace(proposal, notes=(*proposal.notes, *(f"Left out: {text}" for text in left_out)))
