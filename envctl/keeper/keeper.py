"""The keeper's main loop: wait for the owner's end, the instance's expiry and signals, while threads answer requests.

The keeper ends in one of three ways, after it has stopped all processes and removed its address file:
* The owner has ended, the instance has expired, or the state folder is gone: the keeper runs the teardown command until the command
  succeeds. If another machine has removed the instance, the command only deletes the local record.
* A command has sent POST /v1/stop.
* The keeper has received SIGTERM or SIGINT. It ignores SIGHUP.
"""

from __future__ import annotations

import fcntl
import math
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from envctl.keeper import config, private_socket, system
from envctl.keeper.api import SETTINGS, Api, Tokens
from envctl.keeper.data import DataHelper
from envctl.keeper.helpers import Helper, Helpers, Policy
from envctl.keeper.processes import ExitEvents, Processes
from envctl.keeper.relay import Relay
from envctl.keeper.routes import ROUTES
from envctl.keeper.routing import CONTROL, timestamp
from envctl.keeper.wakeup import Owner, Wakeup
from envctl.servers.http.server import listen, serve

if TYPE_CHECKING:
    from envctl.keeper.cluster.forwards import Forwards

POLL_SECONDS = 30.0
"""The longest wait of the main loop, in seconds: no event tells that the state folder was deleted or the clock was set."""
TEARDOWN = Policy(pauses=(1.0, 2.0, 5.0, 10.0, 30.0), patience=600.0)
"""When the teardown command is run again after it has failed, in seconds."""
EXPIRED = "expired"
"""The reason to end if the instance has expired. Then local processes get their `stop:` time, in which they can write coverage."""
REMOVED = "it was removed from its cluster"
"""The reason to end if another machine has removed the instance from its cluster."""


class Keeper:
    """The keeper of one instance. Create it in the main thread; `run` returns when the keeper has to end.

    Attributes:
        tearing_down: whether the instance is being removed.
        expires: the time stamp (ISO 8601) at which the instance expires; None for never.
        relays: the TCP relays, by the host and the port on which they listen.
    """

    def __init__(self, settings: config.Config) -> None:
        self.config = settings
        self.tearing_down = False
        self.expires: str | None = None
        self._reason = ""
        self._ending = False
        self._left = threading.Event()
        self._signalled = False
        self._wakeup = Wakeup([signal.SIGCHLD, signal.SIGTERM, signal.SIGINT])
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup.reader, selectors.EVENT_READ)
        self.owner = Owner(settings.owner_fd, self._selector)
        self.helpers = Helpers(self.say, self._wakeup.wake)
        self.exit_events = ExitEvents()
        self.data = DataHelper(self.helpers, settings.data, {**settings.teardown_env})
        self.processes = Processes(settings.mark, self.exit_events, self.helpers)
        self.relays: dict[tuple[str, int], Relay] = {}
        self._forwards: Forwards | None = None
        self._making_forwards = threading.Lock()
        self.expire(settings.expires)

    @property
    def forwards(self) -> Forwards:
        """The port forwards of Kubernetes; created and imported at the first use, because TLS alone takes 8 MB."""
        with self._making_forwards:
            if self._forwards is None:
                from envctl.keeper.cluster.forwards import Forwards

                told = self.config
                self._forwards = Forwards(told.id, told.folder, self.helpers, told.reseed, told.teardown_env, self._wakeup.wake)
        return self._forwards

    @property
    def forwards_shown(self) -> dict[str, Any]:
        """The state of each port forward, by its name (see routes/ports.py); empty if there are none."""
        return self._forwards.shown() if self._forwards else {}

    def _take_up_forwards(self) -> None:
        """Restore the port forwards of an earlier keeper; a command that asks for the same forwards later must find them."""
        if os.path.exists(os.path.join(self.config.folder, "forwards.json")):
            try:
                self.forwards.take_up()
            except Exception as error:  # even without forwards, the keeper must still remove the instance in time
                self.say(f"port forwards: {type(error).__name__}: {error}")

    def expire(self, stamp: str | None) -> None:
        """Set the time at which the instance expires; None for never.

        Raises:
            ValueError: *stamp* is not an ISO 8601 time stamp with a time zone.
        """
        self._expires_at = math.inf if stamp is None else timestamp(stamp)
        self.expires = stamp
        self._wakeup.wake()

    def release(self) -> None:
        """Ignore the owner's end from now on."""
        self.owner.release()
        self._wakeup.wake()

    def stop(self, graces: Mapping[str, float]) -> None:
        """Stop everything for POST /v1/stop and remove the address file. The route calls `leave` after its response is sent.

        Args:
            graces: seconds that each local process has to stop.
        """
        self._ending = True
        try:
            self._end(graces)
            config.withdraw(self.config)
        except BaseException:
            self.leave()  # `run` stops everything once more, and the keeper ends in any case
            raise

    def _end(self, graces: Mapping[str, float]) -> None:
        """Stop the port forwards, the local processes and the helpers."""
        if self._forwards is not None:
            self._forwards.close()
        self.processes.stop_all(graces)
        self.helpers.stop()

    def leave(self) -> None:
        """Make `run` return."""
        self._left.set()
        self._wakeup.wake()

    def run(self) -> None:
        """Answer requests until there is a reason to end; then stop everything and, depending on the reason, remove the instance.

        Raises:
            OSError: no port is free, or the address file cannot be written.
        """
        self._open()
        try:
            self._reason = reason = self._reason_to_end()
            self.say(f"ends: {reason}")
            self.owner.let_go()
            self._end(config.graces(self.config) if reason == EXPIRED else {})
        finally:
            config.withdraw(self.config)
        if self.tearing_down and not self._signalled:
            self._tear_down()

    def _open(self) -> None:
        """Start to answer requests. The address file comes last: a command that finds it also finds all that an earlier keeper had."""
        listener = listen("127.0.0.1", 0, backlog=128)
        port = listener.getsockname()[1]
        tokens, private = Tokens(self.config.tokens), private_socket.listen(self.config.folder)
        self._take_up_forwards()
        self._serve(listener, Api(self, tokens.without(CONTROL) if private else tokens, port, ROUTES))
        if private:
            self._serve(private, Api(self, tokens, port, ROUTES))
        config.publish(self.config, port, private is not None)
        self.say(f"keeper of {self.config.id}, port {port}")
        self.data.take_up(self.config.folder)
        if self.config.processes:
            self.processes.supervisor()  # started now, so that the first process does not wait for it

    def _serve(self, listener: socket.socket, api: Api) -> None:
        threading.Thread(target=serve, args=(listener, api, SETTINGS), daemon=True).start()

    def _tear_down(self) -> None:
        """Run the teardown command until it succeeds or its time is up. After a signal, stop waiting and leave the command running."""
        if self.config.teardown:
            env = self.config.forget_env if self._reason == REMOVED else self.config.teardown_env
            teardown = Helper(self.helpers, "teardown", self.config.teardown, env, TEARDOWN)
            while not teardown.over.is_set() and self._wait(POLL_SECONDS):
                pass

    def _reason_to_end(self) -> str:
        while True:
            if self._signalled:
                return "signal"
            if self._left.is_set():
                return "request"
            reason = self._reason_to_tear_down()
            if reason and not self._ending:
                self.tearing_down = True
                return reason
            self._wait(min(max(self._expires_at - time.time(), 0.0) + 0.001, POLL_SECONDS))

    def _reason_to_tear_down(self) -> str:
        if self.owner.has_ended():
            return "its owner has ended"
        if time.time() >= self._expires_at:
            return EXPIRED
        if not os.path.isdir(self.config.folder):
            return "its folder was removed"
        return REMOVED if self._forwards is not None and self._forwards.gone and not self._worked_on() else ""

    def _worked_on(self) -> bool:
        """Return whether a command works on the instance now; such a command notices by itself that the instance is gone."""
        if self.owner.watched:
            return True
        with suppress(FileNotFoundError), open(os.path.join(self.config.folder, "lock"), encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _wait(self, patience: float) -> bool:
        """Wait up to *patience* seconds for an event; return whether the keeper goes on, that is, no signal asks it to end."""
        self._selector.select(patience)
        signals = self._wakeup.drain()
        if signal.SIGCHLD in signals and system.LINUX:
            system.reap_adopted(self.helpers.pids)
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._signalled = True
        return not self._signalled

    def say(self, words: str) -> None:
        """Write a line with the time to the log."""
        with suppress(OSError):  # the disk may be full
            print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), words, file=sys.stderr, flush=True)


def main(path: str) -> None:
    """Run the keeper with the configuration file at *path*, then exit with status 0 after an orderly end, or 1 after an error."""
    system.become_subreaper()
    status = 1
    try:
        settings = config.load(path)
        os.chdir("/")  # so that the folder in which it was started can be unmounted
        Keeper(settings).run()
        status = 0
    except BaseException as error:
        print(f"keeper: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)  # threads that still answer requests must not delay the end
