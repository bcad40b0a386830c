"""This machine, as engines see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envctl.keeper_client.keepers import Keepers


@dataclass(frozen=True)
class Host:
    """The variables of whoever asks, and the keepers of the instances here."""

    environ: Mapping[str, str]
    keepers: Keepers

    def folder(self, id: str) -> Path:
        """The state folder of an instance."""
        return self.keepers.home / id
