"""Run the examples: `python -m examples [TOOL...] [--engine E] [--only green|broken|killed]`.

Each tool's suite must pass against the shop, fail with the tool's own message and exit code against three broken shops,
and leave nothing when `envctl test` is killed while it runs. The exit code is the number of failed checks, at most 100.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from examples.killed import what_is_left
from examples.tools import HERE, NPM, TOOLS, installed

ENVCTL = (sys.executable, "-m", "envctl")
DEFINITIONS = {"status": "broken-status.yaml", "mail": "broken-mail.yaml", "button": "broken-button.yaml"}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples", description="Runs the shop's tests in the tools that are here.")
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    parser.add_argument("--engine", default="docker")
    parser.add_argument("--only", choices=["green", "broken", "killed"])
    parser.add_argument("--leave-out", action="store_true", help="a tool that cannot be installed here is left out and named")
    options = parser.parse_args(arguments)
    if unknown := set(options.tools) - set(TOOLS):
        parser.error(f"there is no example {', '.join(sorted(unknown))}; there are {', '.join(TOOLS)}")
    tools = [name for name in _usable(options.tools) if _is_installed(name) or _install(name, options.leave_out)]
    parts = {"green": _green, "broken": _broken, "killed": _killed}
    wrong = [line for part, check in parts.items() if options.only in (None, part) for line in check(tools, options.engine)]
    for line in wrong:
        print(f"WRONG  {line}", file=sys.stderr)
    print(f"{len(tools)} tools on {options.engine}: {', '.join(tools)}: {len(wrong)} wrong")
    return min(len(wrong), 100)


def _usable(names: Sequence[str]) -> Iterator[str]:
    for name, tool in TOOLS.items():
        if name in names or not (names or tool.asked):
            if tool.missing:
                print(f"{name}: left out, there is no {' and no '.join(tool.missing)} here", file=sys.stderr)
            else:
                yield name


def _is_installed(name: str) -> bool:
    return not TOOLS[name].install or (TOOLS[name].install == NPM and installed(name))


def _install(name: str, leave_out: bool) -> bool:
    """Install a tool's suite; return whether that has succeeded.

    Raises:
        CalledProcessError: The installation fails, and the tool must not be left out.
    """
    command = TOOLS[name].install
    print(f"{name}: {' '.join(command)}", flush=True)
    done = subprocess.run(command, cwd=HERE / name, check=not leave_out)
    if done.returncode:
        print(f"{name}: left out, it could not be installed", file=sys.stderr)
    return not done.returncode


class Ended(NamedTuple):
    """The exit code of one tool's suite, and its output."""

    code: int
    said: str


EXIT = re.compile(r"^(?:\x1b\[0m)*envctl: (\S+): exit (\d+)$", re.MULTILINE)
"""Matches the line with a tool's exit code; it may follow an escape sequence, because Maven ends without a line break."""


def _test(definition: str, tools: Sequence[str], engine: str, *more: str) -> dict[str, Ended]:
    """Run `envctl test` with all of *tools* and show its output; return the result of each tool."""
    command = [*ENVCTL, "test", str(HERE / definition), *tools, "--engine", engine, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said = "".join(_shown(line) for line in process.stdout or ())
    if len(tools) == 1 or not EXIT.search(said):  # `envctl test` prints no such line for a single command
        return dict.fromkeys(tools, Ended(process.returncode, said))
    parts = EXIT.split(said)
    ended = {name: Ended(int(code), before) for before, name, code in zip(parts[::3], parts[1::3], parts[2::3], strict=False)}
    return {name: ended.get(name, Ended(125, said)) for name in tools}


def _shown(line: str) -> str:
    print(line, end="", flush=True)
    return line


def _green(tools: Sequence[str], engine: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as report:
        for name, ended in _test("shop.yaml", tools, engine, "--report", report).items():
            passed, failed = _counted(Path(report) / "tests" / name)
            print(f"{name}: {passed} passed, {failed} failed, exit {ended.code}")
            if ended.code or failed or not (6 <= passed <= 20 or name == "keploy"):  # Keploy's reports are YAML and are not counted
                yield f"{name} is not green"


def _counted(folder: Path) -> tuple[int, int]:
    """Return the number of passed and of failed tests in the collected reports."""
    cases = [case for file in folder.glob("*.xml") for case in ET.parse(file).iter("testcase")]
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return len(cases) - failed, failed


def _broken(tools: Sequence[str], engine: str) -> Iterator[str]:
    for what, definition in DEFINITIONS.items():
        if noticing := [name for name in tools if what in TOOLS[name].notices]:
            for name, ended in _test(definition, noticing, engine).items():
                print(f"{name} on {definition}: exit {ended.code}")
                if ended.code in (0, 125) or TOOLS[name].words not in ended.said:
                    yield f"{name} does not notice {definition}"


def _killed(tools: Sequence[str], engine: str) -> Iterator[str]:
    for name in tools:
        command = [*ENVCTL, "test", str(HERE / "shop.yaml"), name, "--engine", engine, "--name", "shop-killed"]
        left = what_is_left(command, TOOLS[name].sign, containers=name == "testcontainers")
        print(f"{name} killed in the middle: {', '.join(left) or 'nothing is left'}", flush=True)
        yield from (f"{name}, killed, leaves {thing}" for thing in left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
