"""Why nobody gets through to a service, from an engine that knows it: asking costs it a request, so it is asked now and then."""

from __future__ import annotations

import time
from dataclasses import dataclass

from envctl.engines import Deployment, KnowsWhoBars
from envctl.errors import EnvctlError
from envctl.plan.model import ServicePlan

BARRED_SECONDS = 5.0
"""Of nothing but a missing right: one that was given a moment ago is not known everywhere yet."""
LOOK_SECONDS = 1.0
"""Between two questions."""
USUAL_ATTEMPTS = 5
"""That fail with any server while it starts: of what bars the way they say nothing."""


@dataclass
class Barred:
    """What is known of the way to one service."""

    deployment: Deployment
    service: ServicePlan
    _failed: int = 0
    _looked: float | None = None
    _why: EnvctlError | None = None
    _since: float = 0.0

    def after_failure(self) -> EnvctlError | None:
        """Why nobody gets through, once that has been so for long enough; asked after each attempt that has failed."""
        self._failed += 1
        now = time.monotonic()
        if self._failed > USUAL_ATTEMPTS and (self._looked is None or now - self._looked >= LOOK_SECONDS):
            self._looked = now
            self._look(now)
        return self.why

    @property
    def why(self) -> EnvctlError | None:
        """The same, as far as it has been asked."""
        return self._why if time.monotonic() - self._since > BARRED_SECONDS else None

    def _look(self, now: float) -> None:
        before, self._why = self._why, None
        if isinstance(self.deployment, KnowsWhoBars):
            self._why = self.deployment.barred(self.service)
        if before is None:
            self._since = now
