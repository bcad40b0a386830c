"""How the programs of a Python project are started on this machine: by the tool whose lock file it has."""

from __future__ import annotations

from pathlib import PurePosixPath

from envctl.init.project_files import ProjectFiles

RUNNERS = {"uv.lock": "uv run ", "poetry.lock": "poetry run ", "pdm.lock": "pdm run ", "Pipfile.lock": "pipenv run "}


def python_runner(project: ProjectFiles, folder: PurePosixPath) -> str:
    """What stands before a program of *folder*; a workspace has its lock file further up. Empty where nothing has to."""
    near = [folder, *folder.parents]
    return next((runner for each in near for lock, runner in RUNNERS.items() if project.has(each / lock)), "")
