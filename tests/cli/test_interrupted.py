"""An interrupt before a command has begun, or after it has ended, prints no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from envctl.process.signals import STOP_SIGNALS

ASKED = """
import os, signal, sys
from envctl import cli
from envctl.process import signals
from envctl.session import Session

place, number = sys.argv[1], int(sys.argv[2])
holder = {"here": Session, "leave": signals}[place]
real = getattr(holder, place)

def asked(*arguments):
    os.kill(os.getpid(), number)
    return real(*arguments)

setattr(holder, place, asked)
cli.main(["list"])
"""
IMPORTING = """
import os, runpy, signal, sys

class Asking:
    def find_spec(self, name, path=None, target=None):
        if name == "envctl.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Asking())
runpy.run_module("envctl", run_name="__main__", alter_sys=True)
"""


def ended(tmp_path: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_before_it_has_begun(tmp_path: Path, number: int) -> None:
    done = ended(tmp_path, ASKED, "here", str(int(number)))
    assert (done.returncode, done.stderr) == (130, "envctl: interrupted\n")


def test_after_it_has_ended(tmp_path: Path) -> None:
    """The command has done its work, so its exit code stays the same."""
    done = ended(tmp_path, ASKED, "leave", str(signal.SIGTERM.value))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_while_python_imports_it(tmp_path: Path) -> None:
    done = ended(tmp_path, IMPORTING)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
