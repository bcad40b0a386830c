"""What the keeper is told when it is started: a JSON file; its paths are absolute.

{"id", "folder": of the instance's state, "address_file": to be written, "tokens": {token: [scopes]} (see routing.py),
 "expires": stamp or null, "owner_fd": a descriptor or null, "teardown": [argv], "teardown_env": {}, "mark",
 "forget_env": {} of that command where there is nothing to tear down any more,
 "processes": true where local processes will come, "reseed": [argv] that makes the data of a service anew, which comes after it,
 "data": [argv] of the helper for leases and resets, which the folder and a descriptor come after}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from envctl.keeper import system
from envctl.keeper.routing import CONTROL


class Config(NamedTuple):
    """The file's content."""

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
    with open(path, encoding="utf-8") as stream:
        return Config(**json.load(stream))


def publish(config: Config, port: int, private: bool) -> None:
    """Writes the address file, readable by its owner alone, in one step; *private*: there is a socket in the folder, too."""
    told = {"port": port, "pid": os.getpid(), "start": system.start_time(os.getpid()), "private": private}
    # `token` may do everything, `tests_token` what tests may do.
    told |= {"token" if CONTROL in scopes else "tests_token": token for token, scopes in config.tokens.items()}
    beside = f"{config.address_file}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(told, stream)
    os.replace(beside, config.address_file)


def graces(config: Config) -> dict[str, float]:
    """What the definition gives each service to end (`stop:`), as the last command has written it into the instance's state."""
    try:
        with open(os.path.join(config.folder, "instance.json"), encoding="utf-8") as stream:
            told = json.load(stream)["stop"]
        return {name: float(seconds) for name, seconds in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # gone, or another version's


def withdraw(config: Config) -> None:
    """Removes the address file, unless a later keeper has written it."""
    with suppress(OSError, ValueError, KeyError), open(config.address_file, encoding="utf-8") as stream:  # else gone with its folder
        if json.load(stream)["pid"] == os.getpid():
            os.unlink(config.address_file)
