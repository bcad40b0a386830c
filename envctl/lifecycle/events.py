"""Events about services: for the terminal, for the log of the instance, and for other listeners."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TextIO

from envctl.plan.model import Plan

LOG = "events.jsonl"


class Phase(StrEnum):
    """The current or the last activity for a service."""

    PENDING = "pending"
    PREPARING = "preparing"
    """Its image is pulled or built, or its data directory is initialised."""
    STOPPING = "stopping"
    """It is stopped before it is started again; a program that ignores SIGTERM takes ten seconds."""
    STARTING = "starting"
    WAITING = "waiting"
    """It runs, and probes check whether it is ready."""
    READY = "ready"
    SETTING_UP = "setting up"
    SEEDING = "seeding"
    SEEDED = "seeded"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        at: seconds since 1970.
        service: the name of the service; empty if the event concerns all services.
        phase: None if only *detail* is new.
    """

    at: float
    service: str
    phase: Phase | None
    detail: str = ""


class Listener(Protocol):
    """A receiver of events, called from any thread."""

    def begin(self, plan: Plan) -> None:
        """Called before the services of *plan* are brought up."""

    def event(self, event: Event) -> None:
        """Called for each event."""

    def end(self) -> None:
        """Called at the end, once or more; no events follow."""


class Events:
    """Pass events to every listener."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self.listeners = list(listeners)
        self._ended = False

    def begin(self, plan: Plan) -> None:
        """Report that the services of *plan* are about to be brought up."""
        for listener in self.listeners:
            listener.begin(plan)

    def tell(self, service: str, phase: Phase | None, detail: str = "") -> None:
        """Report an event; *service* is empty if it concerns all services, *phase* is None if only *detail* is new."""
        if self._ended:
            return
        event = Event(time.time(), service, phase, detail)
        for listener in self.listeners:
            listener.event(event)

    def say(self, text: str) -> None:
        """Report a text that concerns no single service."""
        self.tell("", None, text)

    def progress(self, service: str, text: str) -> None:
        """Report a message of an engine while it prepares a service."""
        self.tell(service, Phase.PREPARING if service else None, text)

    def end(self) -> None:
        """End the events; events of threads that outlive the command are discarded."""
        self._ended = True
        for listener in self.listeners:
            listener.end()


class EventLog:
    """A listener that writes events to the instance's folder, one JSON object per line; a full disk does not stop the command."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._stream: TextIO | None = None

    def begin(self, plan: Plan) -> None:
        with suppress(OSError):
            self._stream = self._stream or open(self._path, "a", encoding="utf-8", buffering=1, opener=_private)  # noqa: SIM115

    def event(self, event: Event) -> None:
        stream = self._stream  # another thread may call `end` in between
        if stream is None:
            return
        told = {"at": round(event.at, 3), "service": event.service, "phase": event.phase, "detail": event.detail}
        try:
            stream.write(json.dumps(told, ensure_ascii=False) + "\n")
        except (OSError, ValueError):
            self._stream = None

    def end(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
