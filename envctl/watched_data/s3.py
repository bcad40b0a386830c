"""S3: the objects of a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envctl.units.s3 import errors, open_driver


def contents(properties: Mapping[str, Any], unit: str) -> dict[str, dict[str, str]]:
    """Return the objects. Raise UnitError if the server does not answer."""
    driver = open_driver(properties)
    try:
        with errors():
            return {unit: {key: f"{size} {tag}" for key, (size, tag) in driver.objects(unit).items()}}
    finally:
        driver.close()
