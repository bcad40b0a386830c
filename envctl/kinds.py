"""Kinds are data: `templates/kinds/NAME.yaml` -> Kind. A project's own `templates/kinds/` wins over ours."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from envctl.definition.models import Model


class Several(Model):
    """What a server declares several of: databases, users, queues. `with: {databases: ...}` is a list or a map to options."""

    default: list[str] = Field(default_factory=list, description="Names where the definition gives none (expressions allowed).")
    options: dict[str, Any] = Field(default_factory=dict, description="JSON Schema properties of one item's options.")
    properties: dict[str, str] = Field(default_factory=dict, description="Expressions over `item` (its options and `name`) and `self`.")


class SeedFeed(Model):
    """How a seed format reaches the server: a command in its container that reads the data on standard input."""

    command: list[str] = Field(default_factory=list, description="Argument list; expressions see `self`, `step` and `columns`.")
    env: dict[str, str] = Field(default_factory=dict)
    dialect: str = Field("", description="How the bytes are written: `sql`, `postgres-csv` or `mysql-tsv`.")


class Setup(Model):
    """A command in the container after the server is ready and before its seeds, once for each item of `each`."""

    each: str = Field("", description="A key of `several`.")
    when: str = Field("", description="A key of `several`: it runs once, and not at all where there is no item.")
    command: list[str]
    env: dict[str, str] = Field(default_factory=dict)
    stdin: str = ""


class Recognise(Model):
    """How a service of a Compose file is known to be of this kind, and where its parameters stand."""

    images: list[str] = Field(default_factory=list)
    parameters: dict[str, list[str]] = Field(
        default_factory=dict, description="Parameter to the variables that set it; `=x` is the image's default."
    )


class Local(Model):
    """How the same server runs as a process of this machine (the local engine)."""

    model_config = Model.model_config | {"extra": "allow"}


class Kind(Model):
    """Everything about a kind that is not protocol code.

    Texts are expressions as in a definition, seen by `self` (this service inside the environment: every property, every
    parameter of `with`, and of `several` lists of items) and `instance`. `files` are whole Jinja2 texts: `{% for %}` works there.
    """

    kind: str
    also: list[str] = Field(default_factory=list, description="Other names.")
    title: str = ""
    description: str = ""
    extends: str | None = None
    image: str | None = Field(None, description="Without a tag: `version` is the tag.")
    version: str | None = None
    tag: str = Field("", description="The image's tag where it is not the version: an expression over `version` and `self`.")
    versions: list[str] = Field(default_factory=list, description="Major versions it is known to work with.")
    ports: dict[str, int] = Field(default_factory=dict, description="Name to number; the first is the main one.")
    outside_port: str = Field("", description="The port whose outside address is that of the main one (an advertised listener).")
    ports_when: dict[str, str] = Field(default_factory=dict, description="A port to the parameter that must be true for it.")
    user: int | None = Field(None, description="User and group id of the server.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="JSON Schema properties of `with`.")
    credentials: dict[str, Literal["username", "password"]] = Field(
        default_factory=dict, description="Parameters that are drawn at random where the definition does not give them."
    )
    several: dict[str, Several] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    entrypoint: list[str] = Field(default_factory=list)
    command: list[str] = Field(default_factory=list)
    files: dict[str, str] = Field(default_factory=dict, description="Path inside to a Jinja2 text; an empty text makes no file.")
    mounts: dict[str, Any] = Field(
        default_factory=dict,
        description="Folder inside to project paths (an expression: one or a list), or to `envctl:FOLDER` of this package.",
    )
    data: str | None = Field(None, description="The data directory.")
    writable: list[str] = Field(default_factory=list, description="Paths that stay writable on a read-only root.")
    ready: dict[str, Any] = Field(default_factory=dict, description="`probe: NAME` and its options.")
    healthcheck: list[str] = Field(default_factory=list, description="The same check as a command in the image.")
    healthcheck_loss: str = Field("", description="Why there is none, for the loss report.")
    properties: dict[str, str] = Field(default_factory=dict, description="What references may name besides host, port and the parameters.")
    setup: list[Setup] = Field(default_factory=list)
    seeds: dict[str, SeedFeed] = Field(default_factory=dict)
    query: list[str] = Field(default_factory=list, description="Client command that runs `query` (a string) in the container.")
    shell: list[str] = Field(default_factory=list, description="The interactive client in the container.")
    shell_env: dict[str, str] = Field(default_factory=dict)
    own: bool = Field(False, description="The team's own code: it is stopped gently.")
    once: bool = Field(False, description="Runs once; `done` when it ends with 0.")
    losses: list[str] = Field(default_factory=list, description="What a user of this kind should know.")
    recognise: Recognise = Recognise()
    local: Local | None = None
    kubernetes: dict[str, Any] = Field(default_factory=dict)
