"""The SDK's errors, for `except sdk.APIError`: looked up when something has been raised.

Importing the SDK takes 0.13 s. Until Compose creates, and somebody has to wait for that anyway, nothing needs it.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from docker import errors

    return getattr(errors, name)
