"""Import packages that only some users need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from envctl.errors import Evidence, ServiceFailed

ADVICE = "run `pip install 'envctl-testing[seeds]'`, and bring it up again"


def library(name: str, service: str, what: str) -> ModuleType:
    """Import the module *name* of a package that the extra `seeds` installs.

    Args:
        what: The feature that needs the package, for the error message.

    Raises:
        ServiceFailed: The package is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        message = f"{service}: {what} needs the Python package '{package}'"
        raise ServiceFailed(message, Evidence(service, what, advice=ADVICE)) from None
