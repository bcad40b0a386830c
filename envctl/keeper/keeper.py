"""The keeper's life: it waits for its owner's end, for the instance's expiry and for signals, while threads answer requests.

It ends in one of three ways, always without processes and address file:
* the owner's end, the expiry, or the end of the state folder: the teardown command is run until it succeeds; where somebody else has
  removed the instance that command only forgets it;
* POST /v1/stop;
* SIGTERM or SIGINT (SIGHUP is ignored).
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
"""Seconds after which the state folder is looked for; the clock may have been set as well."""
TEARDOWN = Policy(pauses=(1.0, 2.0, 5.0, 10.0, 30.0), patience=600.0)
EXPIRED = "expired"
"""The end that nobody hurries: services write their coverage, as they do when somebody asks for it."""
REMOVED = "somebody else has removed it"


class Keeper:
    """To be made in the main thread; `run` returns when everything is over."""

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
        """Imported when they are asked for: TLS alone takes 8 MB."""
        with self._making_forwards:
            if self._forwards is None:
                from envctl.keeper.cluster.forwards import Forwards

                told = self.config
                self._forwards = Forwards(told.id, told.folder, self.helpers, told.reseed, told.teardown_env, self._wakeup.wake)
        return self._forwards

    @property
    def forwards_shown(self) -> dict[str, Any]:
        return self._forwards.shown() if self._forwards else {}

    def _take_up_forwards(self) -> None:
        """Those of a keeper before this one; whoever asks for the same later must find them."""
        if os.path.exists(os.path.join(self.config.folder, "forwards.json")):
            try:
                self.forwards.take_up()
            except Exception as error:  # a keeper without forwards still ends the instance
                self.say(f"port forwards: {type(error).__name__}: {error}")

    def expire(self, stamp: str | None) -> None:
        """
        Raises:
            ValueError: no time stamp.
        """
        self._expires_at = math.inf if stamp is None else timestamp(stamp)
        self.expires = stamp
        self._wakeup.wake()

    def release(self) -> None:
        self.owner.release()
        self._wakeup.wake()

    def stop(self, graces: Mapping[str, float]) -> None:
        """On request: everything but the answer, after which `leave` is called."""
        self._ending = True
        try:
            self._end(graces)
            config.withdraw(self.config)
        except BaseException:
            self.leave()  # the end is tried once more, and comes anyhow
            raise

    def _end(self, graces: Mapping[str, float]) -> None:
        """Nothing that was started here is left."""
        if self._forwards is not None:
            self._forwards.close()
        self.processes.stop_all(graces)
        self.helpers.stop()

    def leave(self) -> None:
        self._left.set()
        self._wakeup.wake()

    def run(self) -> None:
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
        """Whoever finds the address file finds everything that there was before."""
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
            self.processes.supervisor()  # it is there before the first process is asked for

    def _serve(self, listener: socket.socket, api: Api) -> None:
        threading.Thread(target=serve, args=(listener, api, SETTINGS), daemon=True).start()

    def _tear_down(self) -> None:
        """Until the command succeeds, or its time is up; a signal lets it go on by itself."""
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
            return "the owner's end"
        if time.time() >= self._expires_at:
            return EXPIRED
        if not os.path.isdir(self.config.folder):
            return "its folder is gone"
        return REMOVED if self._forwards is not None and self._forwards.gone and not self._worked_on() else ""

    def _worked_on(self) -> bool:
        """Whether a command has the instance, which sees for itself what is there."""
        if self.owner.watched:
            return True
        with suppress(FileNotFoundError), open(os.path.join(self.config.folder, "lock"), encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _wait(self, patience: float) -> bool:
        """False once a signal asks to end."""
        self._selector.select(patience)
        signals = self._wakeup.drain()
        if signal.SIGCHLD in signals and system.LINUX:
            system.reap_adopted(self.helpers.pids)
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._signalled = True
        return not self._signalled

    def say(self, words: str) -> None:
        with suppress(OSError):  # the log's disk is full
            print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), words, file=sys.stderr, flush=True)


def main(path: str) -> None:
    system.become_subreaper()
    status = 1
    try:
        settings = config.load(path)
        os.chdir("/")  # whatever folder it was started in may be unmounted
        Keeper(settings).run()
        status = 0
    except BaseException as error:
        print(f"keeper: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)  # threads that still serve somebody must not keep it
