"""Docker's messages when it refuses something, and the advice that envctl gives for each."""

from __future__ import annotations

import pytest

from envctl.engines.docker.refusals import advice


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ('external volume "sentry-data" not found', "`docker volume create sentry-data` creates it"),
        ("network proxy declared as external, but could not be found", "`docker network create proxy` creates it"),
        ("unable to find user valkey: no matching entries in passwd file", "the image has no user of that name"),
        ("unable to find group mail: no matching entries in group file", "the image has no group of that name"),
        ('exec: "nodemon": executable file not found in $PATH: unknown', "`entrypoint:`: the image has no such program"),
        ("unable to apply caps: operation not permitted: unknown", "`cap_add:`"),
        ("path / is mounted on / but it is not a shared or slave mount", "`:rslave`"),
        ("could not find an available, non-overlapping IPv4 address pool", "no addresses left"),
        ("{odd} words", "`docker events`"),
    ],
)
def test_what_helps(why: str, words: str) -> None:
    assert words in advice(why)
