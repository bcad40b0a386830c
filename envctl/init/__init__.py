"""Propose an environment for a project (`envctl init`): its folder -> ProjectFindings -> Proposal -> YAML. Nothing is written."""

from __future__ import annotations

from pathlib import Path

from envctl.init.ci import ci_commands, ci_jobs, ci_servers, ci_variables
from envctl.init.code_variables import code_variables
from envctl.init.compose import compose_file, compose_override, compose_services, development_servers
from envctl.init.dependencies import dependencies, drivers
from envctl.init.dockerfiles import built_services
from envctl.init.env_example import variables
from envctl.init.images import known_servers
from envctl.init.keploy import read_recordings
from envctl.init.migrations import migrations
from envctl.init.model import Driver, ProjectFindings, Proposal, environment_name
from envctl.init.openapi import openapi_documents
from envctl.init.project_files import ProjectFiles
from envctl.init.proposal_yaml import proposal_yaml
from envctl.init.propose import propose
from envctl.init.proving import Proved, prove
from envctl.init.self_migrating import migrates_itself
from envctl.init.sqlite import sqlite
from envctl.init.test_frameworks import test_commands

__all__ = ["ProjectFindings", "Proposal", "Proved", "gather", "proposal_yaml", "propose", "prove"]


def gather(root: Path, name: str = "", keploy: Path | None = None) -> ProjectFindings:
    """Return the findings about the project in *root*. No code of the project is run, and unreadable files are skipped.

    Args:
        name: the name of the environment; if empty, it is derived from the folder's name.
        keploy: a folder of recorded Keploy tests.

    Raises:
        UsageError: *keploy* contains no mocks.
        DefinitionError: the mocks in *keploy* are broken.
    """
    project = ProjectFiles.read(root)
    found = dependencies(project)
    names = frozenset(dependency.name for dependency in found)
    compose = compose_file(project)
    override = compose_override(project, compose) if compose else None
    jobs, steps = ci_jobs(project), migrations(project, names)
    recordings, asked = read_recordings(keploy) if keploy else ([], [])
    services = tuple(compose_services(project, compose, override)) if compose else ()
    built = tuple(built_services(project))
    has_service = any(service.build_folder is not None for service in services) if services else bool(built)
    return ProjectFindings(
        name=name or environment_name(root.name),
        compose_file=compose,
        compose_override=override,
        compose_services=services,
        drivers=(*drivers(found), *asked, *(Driver(each.kind, each.tool, each.file) for each in steps if each.tool == "prisma")),
        dependencies=names,
        variables=(*ci_variables(jobs), *variables(project), *code_variables(project)),
        built_services=built,
        openapi_documents=tuple(openapi_documents(project)),
        migrations=tuple(steps),
        test_commands=tuple(test_commands(project, names, ci_commands(jobs))),
        recordings=tuple(recordings),
        sqlite=sqlite(project, found),
        migrates_itself=migrates_itself(project, names, has_service),
        known_servers=tuple(known_servers(root, [*ci_servers(jobs), *development_servers(project)])),
    )
