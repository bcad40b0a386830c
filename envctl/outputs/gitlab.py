"""What GitLab reads as `artifacts:reports:dotenv`: a line is `NAME=VALUE`, and the value is the text as it stands.

Quotes are part of a value, spaces at its ends are cut off, and there are neither comments nor values of several lines
(https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv).
"""

from __future__ import annotations

from collections.abc import Mapping

from envctl.errors import UsageError


def text(values: Mapping[str, str]) -> str:
    """
    Raises:
        UsageError: a value cannot be said so.
    """
    for key, value in values.items():
        if len(value.splitlines()) > 1 or value != value.strip():
            what = "several lines" if len(value.splitlines()) > 1 else "spaces at its ends"
            raise UsageError(f"{key}: a dotenv report of GitLab cannot hold {what}", hint="pass it on as a file: `--format json`")
    return "".join(f"{key}={value}\n" for key, value in values.items())
