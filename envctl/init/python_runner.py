"""Find the command that runs programs of a Python project on this machine, from the tool whose lock file the project has."""

from __future__ import annotations

from pathlib import PurePosixPath

from envctl.init.project_files import ProjectFiles

RUNNERS = {"uv.lock": "uv run ", "poetry.lock": "poetry run ", "pdm.lock": "pdm run ", "Pipfile.lock": "pipenv run "}


def python_runner(project: ProjectFiles, folder: PurePosixPath) -> str:
    """Return the prefix for commands in *folder*, for example `uv run `; empty if no prefix is needed.

    The parent folders are searched too, because a workspace keeps its lock file there.
    """
    near = [folder, *folder.parents]
    return next((runner for each in near for lock, runner in RUNNERS.items() if project.has(each / lock)), "")
