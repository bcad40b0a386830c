"""Files for GitLab's `artifacts:reports:dotenv`: each line is `NAME=VALUE`, and the value is taken literally.

Quotes are part of a value, spaces at its ends are removed, and comments and values with several lines do not exist. A single invalid
line makes GitLab refuse the whole report, after the job has ended
(https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from envctl.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)
VARIABLES, SIZE = 20, 5120
"""The limits of an installation with default settings: the largest number of variables, and a size in bytes that must not be reached."""


def text(values: Mapping[str, str]) -> str:
    """Return one line for each of *values*.

    Raises:
        UsageError: the format cannot represent a name or a value.
    """
    if wrong := next(_wrong(values), None):
        raise UsageError(wrong, hint="pass it on as a file: `--format json`")
    return "".join(f"{key}={value}\n" for key, value in values.items())


def cautions(values: Mapping[str, str]) -> Iterator[str]:
    """Yield what a GitLab installation may refuse or interpret differently in a well-formed report."""
    if len(values) > VARIABLES:
        yield f"{len(values)} variables: GitLab takes {VARIABLES} unless configured otherwise (gitlab.com: 50, or more by plan)"
    if (size := len(text(values).encode())) >= SIZE:
        yield f"{size} bytes: GitLab takes fewer than {SIZE} unless configured otherwise"
    if expanded := [key for key, value in values.items() if "$" in value]:
        yield f"{', '.join(expanded)}: with a `$`, which the next job's runner reads as the beginning of a variable's name"


def _wrong(values: Mapping[str, str]) -> Iterator[str]:
    for key, value in values.items():
        if not NAME.fullmatch(key):
            yield f"{key}: a dotenv report of GitLab has names of letters, digits and _ only, of 255 characters at most"
        elif len(value.splitlines()) > 1 or value != value.strip():
            what = "several lines" if len(value.splitlines()) > 1 else "spaces at its ends"
            yield f"{key}: a dotenv report of GitLab cannot hold {what}"
        elif "\0" in value:
            yield f"{key}: a dotenv report of GitLab cannot hold a NUL"
