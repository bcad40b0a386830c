"""Tests of the keeper's helper processes: start, messages, restarts and end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from envctl.keeper.helpers import Helper, Helpers, Policy
from envctl.keeper.processes import Dialogue
from tests.keeper.keepers import alive, pid_in, until

ECHO = """
import json, os, socket, sys
stream = socket.socket(fileno=int(sys.argv[1]))
for line in stream.makefile("r"):
    told = json.loads(line)
    if told.get("do") == "die":
        os._exit(3)
    stream.sendall(json.dumps(told).encode() + b"\\n")
"""
STUBBORN = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('x', file=open(sys.argv[1], 'w')); time.sleep(100)"


class Said(list[str]):
    """A list of the lines that a keeper would write to its log."""

    def __call__(self, words: str) -> None:
        self.append(words)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def helpers(said: Said) -> Iterator[Helpers]:
    found = Helpers(said)
    yield found
    found.stop(0)
    assert found.pids() == ()


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, arguments)]


def running(helper: Helper) -> int:
    return int(until(lambda: helper.pid))


def test_it_has_a_session_of_its_own_nothing_to_read_and_what_is_added(helpers: Helpers, tmp_path: Path) -> None:
    program = "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', os.getcwd(), os.environ.get('A'), "
    program += "os.environ.get('HOME'), file=open(sys.argv[1], 'w'))"
    helper = Helper(helpers, "a", python(program, tmp_path / "told"), {"A": "b", "HOME": None})
    assert helper.over.wait(10)
    assert (tmp_path / "told").read_text() == "True True / b None\n"


def test_its_end_is_told_and_said(helpers: Helpers, said: Said) -> None:
    ended: list[int | None] = []
    helper = Helper(helpers, "a", python("raise SystemExit(7)"), ended=ended.append)
    assert helper.over.wait(10)
    assert (helper.over.is_set(), helper.pid, ended, said) == (True, None, [7], ["a: exit status 7"])
    assert helpers.pids() == ()


def test_one_that_cannot_start_is_an_error(helpers: Helpers, said: Said) -> None:
    with pytest.raises(FileNotFoundError):
        Helper(helpers, "a", ["/no/such"])
    assert "a: cannot start" in said[0]


def test_it_is_the_keepers_own_from_its_first_moment(helpers: Helpers) -> None:
    """Otherwise the keeper's loop would take a helper that ends at once for an orphan, and consume its exit status."""
    seen: list[bool] = []
    made = subprocess.Popen

    class Slow(made):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            asking = threading.Thread(target=lambda: seen.append(self.pid in helpers.pids()))
            asking.start()
            seen.append(asking.is_alive())  # the thread waits until the helper is registered
            threads.append(asking)

    threads: list[threading.Thread] = []
    try:
        subprocess.Popen = Slow  # type: ignore[misc]
        helper = Helper(helpers, "a", ["sleep", "100"])
    finally:
        subprocess.Popen = made  # type: ignore[misc]
    threads[0].join(10)
    assert seen == [True, True]
    helper.stop()


def test_a_short_program_says_what_it_has_to_say(helpers: Helpers) -> None:
    done = helpers.run(python("import os, sys; print(os.environ['A']); sys.exit('no')"), {"A": "b"}, 20)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"b\n", b"no\n")
    with pytest.raises(FileNotFoundError):
        helpers.run(["/no/such"], {}, 20)


def test_a_short_program_that_is_long_is_killed(helpers: Helpers, tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        helpers.run(["sh", "-c", f"sleep 100 & echo $! > {tmp_path}/below; wait"], {}, 0.3)
    assert helpers.pids() == ()
    below = pid_in(tmp_path / "below")
    until(lambda: not alive(below))


def failing(tmp_path: Path, times: int) -> list[str]:
    """Return a command that fails *times* times and then succeeds; it appends a letter to its file at each attempt."""
    program = "import sys; f = open(sys.argv[1], 'a+'); f.write('x'); f.seek(0); sys.exit(len(f.read()) <= int(sys.argv[2]))"
    return python(program, tmp_path / "tries", times)


def test_one_that_fails_is_tried_again_until_it_succeeds(helpers: Helpers, said: Said, tmp_path: Path) -> None:
    helper = Helper(helpers, "a", failing(tmp_path, 3), policy=Policy(pauses=(0.01, 0.02)))
    assert helper.over.wait(20)
    assert said == ["a: exit status 1"] * 3 + ["a: exit status 0"]


def test_pauses_come_one_after_the_other_and_the_last_one_stays(helpers: Helpers, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    over, waited = threading.Event(), threading.Event.wait

    def wait(event: threading.Event, pause: float | None = None) -> bool:
        if pause not in (1.0, 2.0, 5.0):
            return waited(event, pause)
        pauses.append(pause)
        return len(pauses) == 7

    monkeypatch.setattr(threading.Event, "wait", wait)
    Helper(helpers, "a", ["false"], {}, Policy(pauses=(1.0, 2.0, 5.0)), None, lambda _: over.set())
    assert over.wait(20)
    assert pauses == [1, 2, 5, 5, 5, 5, 5]


def test_one_that_cannot_start_yet_is_tried_again(helpers: Helpers, said: Said, tmp_path: Path) -> None:
    program = tmp_path / "program"
    helper = Helper(helpers, "a", [str(program)], policy=Policy(pauses=(0.01,)))
    until(lambda: len(said) > 2)
    (tmp_path / "new").symlink_to("/bin/true")
    (tmp_path / "new").rename(program)
    assert helper.over.wait(10)
    assert said[-1] == "a: exit status 0"


def test_one_that_lasts_is_started_again_whatever_its_end(helpers: Helpers, said: Said) -> None:
    helper = Helper(helpers, "a", ["sleep", "100"], policy=Policy(pauses=(0.01,), lasting=True))
    first = running(helper)
    os.kill(first, 9)
    second = int(until(lambda: helper.pid not in (None, first) and helper.pid))
    helper.stop()
    assert not any(map(alive, (first, second)))
    assert [words for words in said if "status 0" not in words] == ["a: exit status -9", "a: exit status -15"]
    short = Helper(helpers, "b", ["true"], policy=Policy(pauses=(0.01,), lasting=True))
    until(lambda: said.count("b: exit status 0") > 2)
    short.stop()
    assert short.over.is_set()


def test_patience_ends_all_attempts(helpers: Helpers) -> None:
    helper = Helper(helpers, "a", ["sleep", "1000"], policy=Policy(pauses=(0.01,), patience=0.3))
    pid = running(helper)
    assert helper.over.wait(20)
    assert not alive(pid)


def test_one_that_is_stopped_between_two_attempts_is_not_tried_again(helpers: Helpers, said: Said) -> None:
    helper = Helper(helpers, "a", ["false"], policy=Policy(pauses=(1000.0,)))
    until(lambda: said)
    helper.stop()
    assert helper.over.is_set()
    assert said == ["a: exit status 1"]


def test_politely_it_may_finish(helpers: Helpers, tmp_path: Path, said: Said) -> None:
    script = f"trap 'echo bye >> {tmp_path}/said; exit 4' TERM; echo hello >> {tmp_path}/said; while :; do sleep 0.02; done"
    helper = Helper(helpers, "a", ["sh", "-c", script])
    until(lambda: (tmp_path / "said").exists() and (tmp_path / "said").read_text())
    helper.stop(20)
    assert (tmp_path / "said").read_text() == "hello\nbye\n"
    assert said == ["a: exit status 4"]


def test_for_certain_it_goes_with_all_below_it(helpers: Helpers, tmp_path: Path) -> None:
    below = f"import subprocess, sys; p = subprocess.Popen(['sleep', '100'], start_new_session=True); \
print(p.pid, file=open({str(tmp_path / 'below')!r}, 'w')); {STUBBORN}"
    helper = Helper(helpers, "a", python(below, tmp_path / "ready"))
    until((tmp_path / "ready").exists)
    pids = [running(helper), pid_in(tmp_path / "below")]
    helper.stop(0.1)
    assert helper.over.is_set()
    assert not any(map(alive, pids))


def test_what_it_leaves_in_its_group_goes_with_it(helpers: Helpers, tmp_path: Path) -> None:
    helper = Helper(helpers, "a", ["sh", "-c", f"sleep 100 & echo $! > {tmp_path}/left; exit 0"])
    assert helper.over.wait(10)
    left = pid_in(tmp_path / "left")
    until(lambda: not alive(left))


def test_all_are_stopped_at_once(helpers: Helpers) -> None:
    made = [Helper(helpers, str(number), ["sleep", "100"]) for number in range(5)]
    pids = [running(helper) for helper in made]
    helpers.stop()
    assert all(helper.over.is_set() for helper in made)
    assert not any(map(alive, pids))


def test_messages_come_and_go(helpers: Helpers) -> None:
    heard: Queue[dict[str, Any]] = Queue()
    helper = Helper(helpers, "a", python(ECHO), told=heard.put)
    for number in range(3):
        helper.send({"n": number})
        assert heard.get(timeout=20) == {"n": number}
    helper.stop(20)
    with pytest.raises(BrokenPipeError, match="a has ended"):
        helper.send({})


def test_the_end_of_its_channel_is_the_polite_word(helpers: Helpers, said: Said) -> None:
    helper = Helper(helpers, "a", python(ECHO), told=lambda message: None)
    helper.stop(20)
    assert said == ["a: exit status 0"]


def test_a_message_that_cannot_be_taken_does_not_lose_the_helper(helpers: Helpers, said: Said) -> None:
    def take(message: dict[str, Any]) -> None:
        raise ValueError("what is that")

    helper = Helper(helpers, "a", python(ECHO), told=take)
    helper.send({})
    until(lambda: "a: ValueError: what is that" in said)
    assert running(helper)


def test_it_does_not_outlive_a_keeper_that_was_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from envctl.keeper.helpers import Helper, Helpers
helper = Helper(Helpers(print), "a", [sys.executable, "-c", {ECHO!r}], told=print)
print(helper.pid, file=open(sys.argv[1], "w"), flush=True)
time.sleep(1000)
"""
    with subprocess.Popen(python(program, tmp_path / "pid")) as keeper:
        pid = pid_in(tmp_path / "pid")
        assert alive(pid)
        keeper.kill()
    until(lambda: not alive(pid))


@pytest.fixture
def asked(helpers: Helpers) -> Callable[..., Dialogue]:
    return lambda lost=lambda: None: Dialogue(helpers, "a", python(ECHO), {}, lambda message: None, lost)


def test_answers_find_who_asked(asked: Callable[..., Dialogue]) -> None:
    dialogue = asked()
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: dialogue.ask("echo", n=n)})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {n: answer and answer["n"] for n, answer in found.items()} == {n: n for n in range(20)}


def test_who_asks_a_helper_that_dies_hears_of_it_after_it_was_mourned(asked: Callable[..., Dialogue]) -> None:
    order: list[str] = []
    dialogue = asked(lost=lambda: order.append("lost"))
    order.append(str(dialogue.ask("die")))
    assert order == ["lost", "None"]
    assert dialogue.ask("echo") is None


def test_a_helper_that_does_not_answer_is_killed(helpers: Helpers, tmp_path: Path) -> None:
    dialogue = Dialogue(helpers, "a", ["sh", "-c", "sleep 1000"], {}, lambda message: None, lambda: None)
    pid = running(dialogue.helper)
    assert dialogue.ask("anything", patience=0.1) is None
    assert not alive(pid)
