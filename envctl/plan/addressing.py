"""The addresses of services for every reader, engine and lane. No other module computes addresses."""

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
"""The placeholder for a port number that is not known, because the port does not exist or the engine chooses the number."""
LOOPBACK = "127.0.0.1"
SOMEBODY = "*"
"""The reader that represents all services that see the same addresses."""


class Viewpoint(NamedTuple):
    """The place where an address is used: by which reader, on which side, in which lane."""

    side: Side
    """The side: the address inside the environment, or the address for the machine on which the tests run."""
    reader: str | None = None
    """The service that uses the address; None for a test process."""
    lane: int = 0
    """The lane of the reader; 0 for the seeded unit, or if there are no lanes."""

    def on(self, side: Side) -> Viewpoint:
        """Return the viewpoint of the same reader on *side*, for example for `${db.outside.url}`."""
        return self._replace(side=side)


TESTS = Viewpoint("outside")
LEASED = -1
"""The lane number of a lease: a value that is read there belongs to a unit whose name is not known yet."""


@dataclass(frozen=True)
class Addressing:
    """The addresses of an instance's services."""

    setting: Setting
    by_hand: str | None = None
    """A service that the user starts by hand on the machine on which the tests run."""
    lanes: Lanes = NO_LANES

    def standpoint(self, reader: str | None, lane: int | None = None) -> Viewpoint:
        """Return the viewpoint of *reader* (None: a test process). A process on this machine reaches containers as the tests do.

        Args:
            lane: the lane to use instead of the reader's own.
        """
        lane = self.lanes.number(reader or "") if lane is None else lane
        beside = self.is_process(reader or "") and not self.setting.engine.runs_processes
        return Viewpoint("outside" if reader is None or beside or reader == self.by_hand else "inside", reader, lane)

    def alike(self, viewpoint: Viewpoint) -> Viewpoint:
        """Return the viewpoint that represents all viewpoints with the same addresses, so that expressions are evaluated once for them."""
        return viewpoint if viewpoint.reader is None else Viewpoint(viewpoint.side, SOMEBODY, viewpoint.lane)

    def is_process(self, service: str) -> bool:
        """Return whether *service* is a process on this machine."""
        return self.setting.runs_as_process(service)

    def name(self, service: str) -> str:
        """Return the host name of *service* inside the environment."""
        if not self.setting.engine.dns_labels:
            return service
        return dns_label(self.setting.id, service) if self.setting.shared else dns_label(service)

    def address(self, subject: Subject, port: str, viewpoint: Viewpoint) -> tuple[str, int]:
        """Return the host and the number of the port *port* of *subject*, as *viewpoint* reaches it."""
        if viewpoint.side == "inside" and not self.is_process(subject.name):
            return self.name(subject.name), subject.ports[port]
        if viewpoint.side == "inside" and not self.setting.engine.runs_processes:
            return subject.name, self._number(subject, port)  # the name resolves to the gateway, where a relay leads to the process
        return self.setting.addresses.outside_host, self._number(subject, subject.published(port))

    def _number(self, subject: Subject, port: str) -> int:
        return self.setting.allocation.ports.get((subject.name, port), UNKNOWN_PORT)

    def reserves(self, viewpoint: Viewpoint) -> bool:
        """Return whether *viewpoint* reads outside ports that must be known before anything is created, since a service gets them then."""
        return viewpoint.side == "outside" and viewpoint.reader is not None

    def bind(self, service: str) -> str:
        """Return the address on which *service* listens."""
        return LOOPBACK if self.is_process(service) or service == self.by_hand else "0.0.0.0"

    def prefix(self, service: str) -> str:
        """Return the folder that *service* uses instead of the container's `/`; empty for a container."""
        return str(self.setting.folder / service) if self.is_process(service) else ""

    def tester(self, viewpoint: Viewpoint) -> str:
        """Return the host of the tests' machine. A test process gets the host that services use, because it passes it on to them."""
        return LOOPBACK if self.reserves(viewpoint) else self.setting.addresses.tester_host


LONGEST = 50
"""The maximum length of a label, in characters. DNS allows 63; the rest is for suffixes of names that are made from the label."""


def dns_label(*words: str) -> str:
    """Return *words* as one DNS label (RFC 1035): lower-case letters, digits and hyphens, starting with a letter.

    A long label is cut, and gets a hash that keeps it unique.
    """
    whole = "-".join(words)
    text = re.sub(r"[^a-z0-9-]", "-", whole.lower()).strip("-")
    text = text if text[:1].isalpha() else f"s-{text}"
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 7].rstrip('-')}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
