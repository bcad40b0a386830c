"""The address at which a service is reached, for every reader, engine and lane. Only this module computes it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from envctl.environment.lanes import NO_LANES, Lanes
from envctl.plan.model import Setting
from envctl.plan.referenced_services import Subject

Side = Literal["inside", "outside"]
UNKNOWN_PORT = 0
"""The placeholder of a port without a number, or whose number the engine chooses."""
LOOPBACK = "127.0.0.1"
SOMEBODY = "*"
"""The reader that represents all services with the same view."""


class Viewpoint(NamedTuple):
    """Where an address is used: by which reader, on which side, in which lane."""

    side: Side
    """Which side: the address inside the environment, or the one for the machine on which the tests run."""
    reader: str | None = None
    """The service that uses the address; None for a test process."""
    lane: int = 0
    """Its lane; 0 for the seeded unit, and without lanes."""

    def on(self, side: Side) -> Viewpoint:
        """The same reader's view of the other address: `${db.outside.url}`."""
        return self._replace(side=side)


TESTS = Viewpoint("outside")
LEASED = -1
"""The lane that stands for none: what is read there belongs to a unit whose name is not known yet."""


@dataclass(frozen=True)
class Addressing:
    """The addresses of an instance's services."""

    setting: Setting
    by_hand: str | None = None
    """A service that the user starts by hand on the machine on which the tests run."""
    lanes: Lanes = NO_LANES

    def standpoint(self, reader: str | None, lane: int | None = None) -> Viewpoint:
        """Where *reader* (None: a test process) stands: a process of this machine reaches containers where the tests do.

        Args:
            lane: another lane than its own.
        """
        lane = self.lanes.number(reader or "") if lane is None else lane
        beside = self.is_process(reader or "") and not self.setting.engine.runs_processes
        return Viewpoint("outside" if reader is None or beside or reader == self.by_hand else "inside", reader, lane)

    def alike(self, viewpoint: Viewpoint) -> Viewpoint:
        """The viewpoint that represents all with the same view, so that expressions are evaluated once for them."""
        return viewpoint if viewpoint.reader is None else Viewpoint(viewpoint.side, SOMEBODY, viewpoint.lane)

    def is_process(self, service: str) -> bool:
        """Whether *service* is a process of this machine."""
        return self.setting.runs_as_process(service)

    def name(self, service: str) -> str:
        """The host name of *service* inside."""
        if not self.setting.engine.dns_labels:
            return service
        return dns_label(self.setting.id, service) if self.setting.shared else dns_label(service)

    def address(self, subject: Subject, port: str, viewpoint: Viewpoint) -> tuple[str, int]:
        """The host and the number of one of its ports."""
        if viewpoint.side == "inside" and not self.is_process(subject.name):
            return self.name(subject.name), subject.ports[port]
        if viewpoint.side == "inside" and not self.setting.engine.runs_processes:
            return subject.name, self._number(subject, port)  # its name leads to the gateway, and a relay there to the process
        return self.setting.addresses.outside_host, self._number(subject, subject.published(port))

    def _number(self, subject: Subject, port: str) -> int:
        return self.setting.allocation.ports.get((subject.name, port), UNKNOWN_PORT)

    def reserves(self, viewpoint: Viewpoint) -> bool:
        """Whether a port that is read from there must be known before anything is created: a service is told its outside number."""
        return viewpoint.side == "outside" and viewpoint.reader is not None

    def bind(self, service: str) -> str:
        """The address at which *service* listens."""
        return LOOPBACK if self.is_process(service) or service == self.by_hand else "0.0.0.0"

    def prefix(self, service: str) -> str:
        """The folder that replaces / of a container for *service*."""
        return str(self.setting.folder / service) if self.is_process(service) else ""

    def tester(self, viewpoint: Viewpoint) -> str:
        """The machine of the tests. Tests are told how services call it: they hand it on to them."""
        return LOOPBACK if self.reserves(viewpoint) else self.setting.addresses.tester_host


LONGEST = 50
"""Of 63 that a DNS label may have: what belongs to a service is named after it, with a word behind."""


def dns_label(*words: str) -> str:
    """The words as one label of DNS (RFC 1035): small letters, digits and hyphens, a letter first.

    A long one is cut, and told apart by a hash.
    """
    whole = "-".join(words)
    text = re.sub(r"[^a-z0-9-]", "-", whole.lower()).strip("-")
    text = text if text[:1].isalpha() else f"s-{text}"
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 7].rstrip('-')}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
