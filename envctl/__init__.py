"""Create the environments that integration tests need, and remove them again.

`up`, `down`, `env` and `reset` are the Python API; `envctl/lifecycle/api.py` documents them.
"""

from __future__ import annotations

# The constant of the same name in `typing` is not imported: importing `typing` takes longer than `envctl --version` may.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from envctl.lifecycle.api import Event, Instance, Listener, Phase, Session, down, env, reset, up

__version__ = "0.1.0"

__all__ = ["Event", "Instance", "Listener", "Phase", "Session", "__version__", "down", "env", "reset", "up"]


def __getattr__(name: str) -> Any:
    """Import the API when one of its names is first used: `envctl --version` needs none of them.

    Raises:
        AttributeError: *name* is not in `__all__`.
    """
    if name not in __all__:
        raise AttributeError(f"module 'envctl' has no attribute '{name}'")
    from envctl.lifecycle import api

    return getattr(api, name)
