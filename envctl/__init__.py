"""envctl brings up the environments that integration tests need, and removes them again.

`up`, `down`, `env` and `reset` are the Python API; `envctl/lifecycle/api.py` says what they do.
"""

from __future__ import annotations

# As in `typing`, which takes longer to import than `envctl --version` has.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from envctl.lifecycle.api import Event, Instance, Listener, Phase, Session, down, env, reset, up

__version__ = "0.1.0"

__all__ = ["Event", "Instance", "Listener", "Phase", "Session", "__version__", "down", "env", "reset", "up"]


def __getattr__(name: str) -> Any:
    """Imports the API on first use: `envctl --version` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'envctl' has no attribute '{name}'")
    from envctl.lifecycle import api

    return getattr(api, name)
