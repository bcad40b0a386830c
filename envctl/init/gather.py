"""A project's folder -> ProjectFindings: every detector asked once."""

from __future__ import annotations

from pathlib import Path

from envctl.definition.kinds import load_kinds
from envctl.errors import DefinitionError
from envctl.init.compose import compose_file, composed
from envctl.init.dockerfiles import programs
from envctl.init.drivers import drivers
from envctl.init.manifests import dependencies
from envctl.init.migrations import migrations
from envctl.init.model import ProjectFindings
from envctl.init.names import environment_name
from envctl.init.openapi import apis
from envctl.init.project import Project
from envctl.init.runners import runners
from envctl.init.variables import variables


def gather(root: Path, name: str = "") -> ProjectFindings:
    """What the project in *root* shows; nothing in it is run, and what cannot be read is passed over."""
    project = Project.read(root)
    found = dependencies(project)
    names = frozenset(dependency.name for dependency in found)
    compose = compose_file(project)
    return ProjectFindings(
        name=name or environment_name(root.name),
        compose=compose,
        composed=tuple(composed(project, compose, image_kinds(root))) if compose else (),
        drivers=tuple(drivers(found)),
        dependencies=names,
        variables=tuple(variables(project)),
        programs=tuple(programs(project)),
        apis=tuple(apis(project)),
        migrations=tuple(migrations(project, names)),
        runners=tuple(runners(project, names)),
    )


def image_kinds(root: Path) -> dict[str, str]:
    """The name of an image to the kind that recognises it, the project's own kinds included."""
    kinds = load_kinds(root)
    found: dict[str, str] = {}
    for name in kinds:
        try:
            kind = kinds[name]
        except DefinitionError:
            continue  # a broken kind of the project: `envctl validate` tells
        found |= dict.fromkeys(kind.recognise.images, kind.kind)
    return found
