"""What the keeper is told when it is started: a JSON file; its paths are absolute.

{"id", "folder": of the instance's state, "address_file": to be written, "tokens": {token: [scopes]} (see tokens.py),
 "expires": stamp or null, "owner_fd": a descriptor or null, "teardown": [argv], "teardown_env": {}, "mark",
 "processes": true where local processes will come, "reseed": [argv] that makes the data of a service anew, which comes after it}
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from envctl.keeper import system
from envctl.keeper.tokens import CONTROL


class Config:
    """The file's content."""

    def __init__(
        self,
        *,
        id: str,
        folder: str,
        address_file: str,
        tokens: dict[str, list[str]],
        mark: str,
        expires: str | None = None,
        owner_fd: int | None = None,
        teardown: Sequence[str] = (),
        teardown_env: dict[str, str] | None = None,
        processes: bool = False,
        reseed: Sequence[str] = (),
    ) -> None:
        self.id, self.folder, self.address_file, self.tokens, self.mark = id, folder, address_file, tokens, mark
        self.expires, self.owner_fd = expires, owner_fd
        self.teardown, self.teardown_env = teardown, teardown_env or {}
        self.processes, self.reseed = processes, reseed


def load(path: str) -> Config:
    with open(path, encoding="utf-8") as stream:
        return Config(**json.load(stream))


def publish(config: Config, port: int) -> None:
    """Writes the address file, readable by its owner alone, in one step."""
    told = {"port": port, "pid": os.getpid(), "start": system.start_time(os.getpid())}
    beside = f"{config.address_file}.{os.getpid()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(told | _tokens(config), stream)
    os.replace(beside, config.address_file)


def _tokens(config: Config) -> dict[str, str]:
    """`token` may do everything, `tests_token` what tests may do."""
    return {"token" if CONTROL in scopes else "tests_token": token for token, scopes in config.tokens.items()}


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
    try:
        with open(config.address_file, encoding="utf-8") as stream:
            if json.load(stream)["pid"] == os.getpid():
                os.unlink(config.address_file)
    except (OSError, ValueError, KeyError):
        pass  # gone with its folder
