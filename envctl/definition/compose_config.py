"""Calls of `docker compose config`. A call takes a tenth of a second, and may begin before its result is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envctl.definition.compose_paths import ComposePaths
from envctl.definition.compose_variables import unfit
from envctl.definition.source import displayed, inside
from envctl.errors import DefinitionError, EngineMissing, EnvctlError, Problem
from envctl.process.answers import Answers, Question

TIMEOUT = 8
"""The seconds to wait for Docker Compose. A file with 2,000 services takes one or two."""
NOTHING_REMOTE = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "0", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "0"}
"""Variables for Docker Compose, so that it never uses the network to read a file, whatever the caller's environment sets."""
WARNING = re.compile(r'level=warning msg="((?:[^"\\]|\\.)*)"')
_ADVICE = "install Docker with its Compose plugin, or describe the services in the definition itself"


def ask_compose(
    answers: Answers, files: Sequence[Path], profiles: Sequence[str], environ: Mapping[str, str], *what: str, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Return the result of `docker compose config` for *files*.

    Args:
        what: the options of `config` (default: print the whole configuration as JSON).
        options: further options of `docker compose` itself, before `config`.

    Raises:
        EngineMissing: Docker Compose is not installed, or cannot be started.
        DefinitionError: Docker Compose takes longer than TIMEOUT.
    """
    try:
        done = answers.ask(_question(files, profiles, environ, *what, options=options), TIMEOUT)
    except OSError as error:
        raise EngineMissing(f"Docker Compose could not read {displayed(files[0])}: {error}", hint=_ADVICE) from None
    except subprocess.TimeoutExpired:
        message = f"Docker Compose did not read this file within {TIMEOUT} s"
        raise DefinitionError(
            [Problem(displayed(files[0]), 1, "", message, f"`docker compose -f {files[0].name} config` shows it")]
        ) from None
    if done.returncode != 0 and re.search(r"not a docker command|unknown shorthand flag: 'f'", done.stderr):
        raise EngineMissing("Docker has no Compose plugin here", hint=_ADVICE)
    return done


def begin_reading(answers: Answers, file: Path, project: Path, environ: Mapping[str, str]) -> None:
    """Start Docker Compose in the background, to read *file* alone for a later call of `ask_compose`.

    Nothing starts if *file* has a mistake, or names a path outside of *project*: `read_compose` reports that later.
    """
    with suppress(EnvctlError, OSError):
        found = inside(file.name, file.parent, project, what="file")
        if isinstance(found, Path) and _may_be_read(found, project, environ):
            answers.begin(_question([found], (), environ))


def last_words(stderr: str) -> str:
    """Return the last three lines of *stderr* that are not warnings; `nothing` if there are none."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not WARNING.search(line)]
    return "; ".join(lines[-3:]) or "nothing"


def _may_be_read(file: Path, project: Path, environ: Mapping[str, str]) -> bool:
    paths = ComposePaths(project, environ).read([file])
    return not paths.problems and not any(unfit(list(filter(Path.is_file, paths.variables)), project))


def _question(
    files: Sequence[Path], profiles: Sequence[str], environ: Mapping[str, str], *what: str, options: Sequence[str] = ()
) -> Question:
    docker = shutil.which("docker", path=environ.get("PATH", os.environ.get("PATH")))
    if docker is None:
        raise EngineMissing(f"Docker Compose is needed to read {displayed(files[0])}", hint=_ADVICE)
    names = [word for file in files for word in ("-f", str(file))] + [w for p in profiles for w in ("--profile", p)]
    # Docker looks for its plugins below HOME, so HOME and PATH are set even if *environ* lacks them.
    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | dict(environ) | NOTHING_REMOTE
    return Question.to([docker, "compose", *options, *names, "config", *(what or ("--format", "json"))], files[0].parent, env)
