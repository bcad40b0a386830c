from __future__ import annotations

from typing import Any

import pytest

from envctl.definition.compose_programs import only_waits


@pytest.mark.parametrize(
    "service",
    [
        {"command": ["sleep", "infinity"]},
        {"command": ["tail", "-f", "/dev/null"]},
        {"entrypoint": ["tail"], "command": ["-f", "/dev/null"]},
        {"command": ["/bin/sh", "-c", "while sleep 1000; do :; done"]},
        {"command": ["sh", "-c", "while true; do sleep 30; done;"]},
        {"command": ["bash", "-c", "trap : TERM INT; sleep infinity & wait"]},
        {"command": ["bash", "-lc", "exec sleep infinity"]},
        {"command": ["/bin/bash"], "tty": True},
        {"entrypoint": ["/bin/sh"], "stdin_open": True},
        {"command": ["cat"], "tty": True},
    ],
)
def test_a_program_that_only_keeps_the_container_running(service: dict[str, Any]) -> None:
    assert only_waits(service)


@pytest.mark.parametrize(
    "service",
    [
        {},
        {"tty": True},
        {"command": ["bash"]},
        {"command": ["bash", "run.sh"], "tty": True},
        {"command": ["sh", "-c", "npm install && npm start"]},
        {"command": ["zsh", "-c", "npm start"], "tty": True},
        {"command": ["sh", "-c", "sleep 5; python app.py"]},
        {"command": ["sh", "-c", "sleep 3 && sh /run.sh"]},
        {"command": ["sh", "-c", "python app.py & tail -f /dev/null"]},
        {"command": ["python", "sleep.py"]},
        {"command": ["server", "tail"]},
    ],
)
def test_a_program_that_does_something(service: dict[str, Any]) -> None:
    assert not only_waits(service)
