"""The keeper's configuration, which is a JSON file, and its address file, which tells envctl's commands how to reach the keeper."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from envctl.keeper import system
from envctl.keeper.routing import CONTROL


class Config(NamedTuple):
    """The content of the configuration file. Its paths are absolute.

    Attributes:
        id: the instance's id.
        folder: the folder of the instance's state.
        address_file: the file that the keeper writes once it accepts requests.
        tokens: token to the names of its scopes (see routing.py).
        mark: the value of ENVCTL_MARK that identifies the instance's local processes.
        expires: the time stamp (ISO 8601) at which the instance expires; None for never.
        owner_fd: the descriptor of the socket whose other end the owner holds; None without an owner.
        teardown: the command that removes the instance.
        teardown_env: variables that are added to the environment of `teardown`, `reseed` and `data`.
        forget_env: variables that are added instead where `teardown` only has to delete the record, as the instance is already gone.
        processes: whether the instance will have local processes.
        reseed: the command that seeds a service again; the service's name is appended to it.
        data: the command of the helper for leases and resets; the descriptor of its channel is appended to it.
    """

    id: str
    folder: str
    address_file: str
    tokens: dict[str, list[str]]
    mark: str
    expires: str | None = None
    owner_fd: int | None = None
    teardown: Sequence[str] = ()
    teardown_env: Mapping[str, str] = {}
    forget_env: Mapping[str, str] = {}
    processes: bool = False
    reseed: Sequence[str] = ()
    data: Sequence[str] = ()


def load(path: str) -> Config:
    """Read the configuration file.

    Raises:
        OSError: the file cannot be read.
        TypeError, ValueError: it does not contain a configuration.
    """
    with open(path, encoding="utf-8") as stream:
        return Config(**json.load(stream))


def publish(config: Config, port: int, private: bool) -> None:
    """Write the address file, readable only by its user, and replace an older one atomically.

    Args:
        port: the port on 127.0.0.1.
        private: whether the keeper also listens on a Unix socket in the instance's folder.

    Raises:
        OSError: the file cannot be written.
    """
    told = {"port": port, "pid": os.getpid(), "start": system.start_time(os.getpid()), "private": private}
    # `token` is for envctl's commands, `tests_token` for tests; each has its own scopes.
    told |= {"token" if CONTROL in scopes else "tests_token": token for token, scopes in config.tokens.items()}
    beside = f"{config.address_file}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(told, stream)
    os.replace(beside, config.address_file)


def graces(config: Config) -> dict[str, float]:
    """Return the seconds that each service has to stop on SIGTERM (`stop:` in the definition), from the instance's record."""
    try:
        with open(os.path.join(config.folder, "instance.json"), encoding="utf-8") as stream:
            told = json.load(stream)["stop"]
        return {name: float(seconds) for name, seconds in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # the record is gone, or another version of envctl wrote it


def withdraw(config: Config) -> None:
    """Remove the address file, unless a later keeper has written it."""
    with suppress(OSError, ValueError, KeyError), open(config.address_file, encoding="utf-8") as stream:  # its folder may be gone
        if json.load(stream)["pid"] == os.getpid():
            os.unlink(config.address_file)
