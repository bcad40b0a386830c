"""`envctl init`: a project's folder -> ProjectFindings -> Proposal -> the text of an environment. Nothing is written."""

from __future__ import annotations

from pathlib import Path

from envctl.init.compose import compose_file, compose_services
from envctl.init.dependencies import dependencies, drivers
from envctl.init.dockerfiles import built_services
from envctl.init.env_example import variables
from envctl.init.migrations import migrations
from envctl.init.model import ProjectFindings, Proposal, environment_name
from envctl.init.openapi import openapi_documents
from envctl.init.project_files import ProjectFiles
from envctl.init.proposal_yaml import proposal_yaml
from envctl.init.propose import propose
from envctl.init.proving import Proved, prove
from envctl.init.test_frameworks import test_commands

__all__ = ["ProjectFindings", "Proposal", "Proved", "gather", "proposal_yaml", "propose", "prove"]


def gather(root: Path, name: str = "") -> ProjectFindings:
    """What the project in *root* shows; nothing in it is run, and what cannot be read is passed over."""
    project = ProjectFiles.read(root)
    found = dependencies(project)
    names = frozenset(dependency.name for dependency in found)
    compose = compose_file(project)
    return ProjectFindings(
        name=name or environment_name(root.name),
        compose_file=compose,
        compose_services=tuple(compose_services(project, compose)) if compose else (),
        drivers=tuple(drivers(found)),
        dependencies=names,
        variables=tuple(variables(project)),
        built_services=tuple(built_services(project)),
        openapi_documents=tuple(openapi_documents(project)),
        migrations=tuple(migrations(project, names)),
        test_commands=tuple(test_commands(project, names)),
    )
