"""The session: the environment variables, folder and settings of one caller, and the resources that the caller's work shares."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envctl.errors import UsageError
from envctl.instance.ci import job_key
from envctl.instance.folder import state_home
from envctl.instance.identity import instance_id
from envctl.instance.store import RecordStore
from envctl.keeper_client.keepers import Keepers
from envctl.keeper_client.starting import BY_KEEPER, FORGET
from envctl.process.answers import Answers
from envctl.session.mask import Mask

if TYPE_CHECKING:
    from envctl.session.settings import Settings


class Host(NamedTuple):
    """The caller's environment variables, and the keepers of the instances on this machine."""

    environ: Mapping[str, str]
    keepers: Keepers

    def folder(self, id: str) -> Path:
        """Return the state folder of an instance."""
        return self.keepers.home / id


@dataclass
class Session:
    """Created by the command line or the Python API, and passed on to everything that works for the caller.

    Several threads may use one session; two sessions in a process share nothing.

    Attributes:
        environ: the caller's environment variables.
        cwd: the folder to which relative paths refer.
        mask: the secrets that must not be printed.
        told: options of this command that say where to look (engine, context and so on), by name.
        answers: the answers of programs that were started in advance.
    """

    environ: Mapping[str, str]
    cwd: Path
    mask: Mask = field(default_factory=Mask)
    told: Mapping[str, str] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers, repr=False, compare=False)
    store: RecordStore = field(init=False, repr=False, compare=False)
    """The records of this user's instances on this machine."""
    keepers: Keepers = field(init=False, repr=False, compare=False)
    """The keepers of these instances, and this session's connections to them."""
    host: Host = field(init=False, repr=False, compare=False)
    """This machine, as engines see it."""

    def __post_init__(self) -> None:
        """Create the shared objects immediately, not on first use: otherwise two threads could each create their own."""
        self.store = RecordStore(state_home(self.environ))
        self.keepers = Keepers(self.store.home, self.environ)
        self.host = Host(self.environ, self.keepers)

    @classmethod
    def here(cls) -> Session:
        """Return the session of the current process.

        Raises:
            UsageError: the working folder has been removed, or cannot be entered.
        """
        try:
            return cls(dict(os.environ), Path.cwd())
        except OSError as error:
            raise UsageError(f"the current folder cannot be used: {error.strerror}", hint="change to a folder that exists") from None

    @cached_property
    def settings(self) -> Settings:
        """The settings of the nearest `envctl.toml`, or of `[tool.envctl]` in pyproject.toml.

        Raises:
            DefinitionError: the file is not valid TOML, or cannot be read.
        """
        from envctl.session.settings import nearest

        return nearest(self.cwd)

    def option(self, name: str) -> str | None:
        """Return an option from this command, ENVCTL_<OPTION> or the project's settings, in this order; None if it is set nowhere."""
        found = self.told.get(name) or self.environ.get(f"ENVCTL_{name.upper()}") or self.settings.keys.get(name)
        return found if isinstance(found, str) else None

    def key(self, project: Path) -> str:
        """Return the key of this caller's instances: the given one, or else that of the CI job; empty outside CI."""
        return self.told.get("key") or self.environ.get("ENVCTL_KEY") or job_key(self.environ, project)

    def id_of(self, name: str, project: Path) -> str:
        """Return the id of this caller's instance *name* of *project*."""
        return instance_id(name, project, self.key(project))

    @property
    def by_keeper(self) -> bool:
        """Whether a keeper has started this command to remove its instance; services are not stopped gracefully then."""
        return bool(self.environ.get(BY_KEEPER))

    @property
    def to_forget(self) -> bool:
        """Whether a keeper has started this command because its instance was removed elsewhere; only local state is removed then."""
        return self.environ.get(BY_KEEPER) == FORGET
