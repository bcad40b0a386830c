"""Find out from the engine why a service cannot be reached. Each query is a request, so the answers are kept for a moment."""

from __future__ import annotations

import time
from dataclasses import dataclass

from envctl.engines import Deployment, KnowsWhoBars
from envctl.errors import EnvctlError
from envctl.plan.model import ServicePlan

BARRED_SECONDS = 5.0
"""The seconds after which a missing permission counts as permanent: a permission that was just granted takes effect with a delay."""
LOOK_SECONDS = 1.0
"""The seconds between two queries."""
USUAL_ATTEMPTS = 5
"""The number of failed attempts before the first query: any server fails that often while it starts."""


@dataclass
class Barred:
    """The known obstacles on the way to one service."""

    deployment: Deployment
    service: ServicePlan
    _failed: int = 0
    _looked: float | None = None
    _why: EnvctlError | None = None
    _since: float = 0.0

    def after_failure(self) -> EnvctlError | None:
        """Return why the service cannot be reached, if that has been true for long enough; call this after each failed attempt."""
        self._failed += 1
        now = time.monotonic()
        if self._failed > USUAL_ATTEMPTS and (self._looked is None or now - self._looked >= LOOK_SECONDS):
            self._looked = now
            self._look(now)
        return self.why

    @property
    def why(self) -> EnvctlError | None:
        """The reason that the last query found, if it has been true for long enough; None otherwise."""
        return self._why if time.monotonic() - self._since > BARRED_SECONDS else None

    def _look(self, now: float) -> None:
        before, self._why = self._why, None
        if isinstance(self.deployment, KnowsWhoBars):
            self._why = self.deployment.barred(self.service)
        if before is None:
            self._since = now
