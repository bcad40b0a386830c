"""Unit tests of the Action's scripts, without an engine: a fake `envctl` and `python3` record their arguments."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.support import REPO

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node here")

PLAYED = f"""#!{sys.executable}
import json, os, sys, time
here, words = os.environ["PLAYED"], sys.argv[1:]
print(json.dumps([os.path.basename(sys.argv[0]), *words]), file=open(f"{{here}}/calls", "a"))
def say(text): print(text, flush=True)
if sys.argv[0].endswith("python3"):
    if "-c" in words: say(os.environ.get("KIND", "3.13-x86_64"))
    if "venv" in words:
        for name in ("python", "envctl"):
            os.makedirs(f"{{words[-1]}}/bin", exist_ok=True)
            os.symlink(sys.argv[0], f"{{words[-1]}}/bin/{{name}}")
elif words[:1] == ["list"]: say(open(f"{{here}}/list").read())
elif words[:1] == ["up"]:
    if os.path.exists(f"{{here}}/slow"):
        open(f"{{here}}/list", "w").write('[{{"id": "old-1"}}, {{"id": "shop-2"}}]')
        open(f"{{here}}/begun", "w")
        time.sleep(600)
    say('{{"name": "shop", "id": "shop-2", "engine": "docker"}}')
    sys.exit(int(os.environ.get("UP", 0)))
elif words[:1] == ["env"]:
    print("::add-mask::hunter22", file=sys.stderr)
    say(open(f"{{here}}/env").read().rstrip("\\n"))
elif words[:1] == ["report"]: say("## Tests: 1 red")
elif words[:1] == ["--version"]: say("envctl 0.1.0")
elif words[:1] == ["down"]: sys.exit(int(os.environ.get("DOWN", 0)))
"""


class Step(NamedTuple):
    """A simulated CI runner, whose files are in *folder*."""

    folder: Path

    def environ(self, inputs: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
        files = {
            name: str(self.folder / name) for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")
        }
        told = {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
        state = {f"STATE_{name}": value for name, value in self.values("GITHUB_STATE").items()}
        path = f"{self.folder}/bin:{Path(str(shutil.which('node'))).parent}"
        return {
            "PATH": path, "PLAYED": str(self.folder), "GITHUB_WORKSPACE": str(self.folder), "RUNNER_TOOL_CACHE": str(self.folder / "tools"),
            **files, **told, **state, **more,
        }  # fmt: skip

    def run(self, script: str, inputs: Mapping[str, str], **more: str) -> subprocess.CompletedProcess[str]:
        words = ["node", str(REPO / "action" / f"{script}.js")]
        return subprocess.run(words, env=self.environ(inputs, more), capture_output=True, text=True, timeout=120, check=False)

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def values(self, name: str) -> dict[str, str]:
        """Return the variables that the runner reads from its file *name*."""
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        return {found[1]: found[3] for found in re.finditer(r"^(\w[\w-]*)<<(\w+)\n(.*?)\n?^\2$", text, re.MULTILINE | re.DOTALL)}


@pytest.fixture
def step(tmp_path: Path) -> Step:
    (tmp_path / "bin").mkdir()
    for name in ("envctl", "python3"):
        path = tmp_path / "bin" / name
        path.write_text(PLAYED)
        path.chmod(0o755)
    (tmp_path / "list").write_text('[{"id": "old-1"}]')
    (tmp_path / "env").write_text("DB_URL=postgres://u:hunter22@h/db\nLONG<<EOF_1\na=b\nEOF_2\nEOF_1\n")
    return Step(tmp_path)


SHOP = {"environment": "shop", "version": "installed", "export": "*"}


def test_outputs_and_variables(step: Step) -> None:
    done = step.run("main", {**SHOP, "matrix": "3"})
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = {"DB_URL": "postgres://u:hunter22@h/db", "LONG": "a=b\nEOF_2"}
    assert step.values("GITHUB_ENV") == {"ENVCTL_MATRIX": "3", **wanted}
    outputs = step.values("GITHUB_OUTPUT")
    assert json.loads(outputs.pop("json")) == wanted
    assert outputs == {"name": "shop", "id": "shop-2", **wanted}


def test_masks_come_before_anything_that_holds_a_credential(step: Step) -> None:
    out = step.run("main", SHOP).stdout
    assert out.index("::add-mask::hunter22") < out.index("shop (shop-2) is up")
    assert out.count("hunter22") == 1


def test_delimiters_are_drawn_anew(step: Step) -> None:
    step.run("main", SHOP)
    marks = re.findall(r"<<(envctl_\w{32})$", (step.folder / "GITHUB_ENV").read_text(), re.MULTILINE)
    assert len(marks) == len(set(marks)) == 2


def test_only_the_names_that_are_asked_for(step: Step) -> None:
    step.run("main", {**SHOP, "export": "LONG"})
    assert list(step.values("GITHUB_ENV")) == ["LONG"]
    assert "DB_URL" in step.values("GITHUB_OUTPUT")
    done = step.run("main", {**SHOP, "export": "DB_URI"})
    assert done.returncode == 1
    assert "::error title=envctl::export: DB_URI: there is no such output; known: DB_URL, LONG" in done.stdout


def test_inputs_never_meet_a_shell(step: Step) -> None:
    evil = f"$(touch {step.folder}/owned); `touch {step.folder}/owned`"
    step.run(
        "main", {**SHOP, "environment": f"--help{evil}", "set": f"a=b c\nx={evil}", "only": "db api", "name": evil, "lanes": "--fresh"}
    )
    up = next(call for call in step.calls if call[1] == "up")
    assert up == [
        "envctl", "up", "--json", f"--name={evil}", "--lanes=--fresh", "--set=a=b c", f"--set=x={evil}", "--only=db", "--only=api", "--",
        f"--help{evil}",
    ]  # fmt: skip
    assert not (step.folder / "owned").exists()


def test_without_an_environment_it_only_installs(step: Step) -> None:
    assert step.run("main", {"version": "0.1.0", "extras": "local,seeds"}).returncode == 0
    pip = next(call for call in step.calls if "pip" in call)
    assert pip[-1] == "envctl-testing[local,seeds]==0.1.0"
    on_path = Path((step.folder / "GITHUB_PATH").read_text().strip())
    assert on_path.is_relative_to(step.folder / "tools" / "envctl" / "0.1.0-3.13-x86_64-local-seeds")
    assert [each.name for each in on_path.iterdir()] == ["envctl"], "later steps keep their own python and pip"
    assert subprocess.run([on_path / "envctl", "--version"], env=step.environ({}, {}), check=False).returncode == 0
    assert step.run("post", {}).returncode == 0
    assert not any(call[1:2] == ["down"] for call in step.calls)


def test_what_the_action_itself_holds_is_installed_once(step: Step) -> None:
    for _ in range(2):
        step.run("main", {})
    assert [call[-1] for call in step.calls if "pip" in call] == [str(REPO)]


def test_a_half_installed_one_is_made_anew(step: Step) -> None:
    step.run("main", {"version": "0.1.0"})
    (step.folder / "tools" / "envctl" / "0.1.0-3.13-x86_64" / "bin" / "envctl").unlink()
    step.run("main", {"version": "0.1.0"})
    assert sum("pip" in call for call in step.calls) == 2


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"version": "0.1; rm"}, "version: 0.1; rm: this is not a version"), ({"version": "--pre"}, "this is not a version"),
        ({"from": "--index-url=x"}, "from: --index-url=x: this is an option"), ({"extras": "x]"}, "extras: x]: these are not extras"),
        ({"working-directory": "nowhere"}, "working-directory: there is no folder"), ({"python": "python9"}, "python9 cannot be started"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_said(step: Step, inputs: dict[str, str], words: str) -> None:
    done = step.run("main", inputs)
    assert done.returncode == 1
    assert words in done.stdout
    assert "at " not in done.stderr


def test_an_old_python_is_said(step: Step) -> None:
    assert "needs 3.11 or later" in step.run("main", {}, KIND="3.9-x86_64").stdout


def test_what_is_named_goes_to_pip_as_it_is(step: Step) -> None:
    step.run("main", {"from": "https://x/y.whl"})
    step.run("main", {"from": "some/folder", "extras": "seeds"})
    wanted = [call[-1] for call in step.calls if "pip" in call]
    assert wanted[0] == "envctl-testing @ https://x/y.whl"
    assert wanted[1].endswith("/some/folder[seeds]")


def after(calls: list[list[str]]) -> list[list[str]]:
    return [call[1:] for call in calls if call[1] in ("logs", "report", "down")]


def test_the_end_of_a_job(step: Step) -> None:
    step.run("main", SHOP)
    assert step.run("post", {"results": "results\nmore", "history": "h.json"}).returncode == 0
    folder = f"{step.folder}/envctl-report"
    assert after(step.calls) == [
        ["logs", "shop-2", "-o", folder],
        ["report", "--history", f"{step.folder}/h.json", "--", folder, f"{step.folder}/results", f"{step.folder}/more"],
        ["down", "shop-2"],
    ]
    assert (step.folder / "GITHUB_STEP_SUMMARY").read_text() == "## Tests: 1 red\n\n"


def test_the_end_of_a_job_whose_environment_failed(step: Step) -> None:
    assert step.run("main", SHOP, UP="1").returncode == 1
    step.run("post", {})
    assert after(step.calls)[-1] == ["down", "shop-2"]


def test_what_is_left_behind_is_red(step: Step) -> None:
    step.run("main", SHOP)
    done = step.run("post", {}, DOWN="1")
    assert done.returncode == 1
    assert "something is left behind" in done.stdout


@pytest.mark.parametrize("kind", ["interrupt", "kill"])
def test_the_end_of_a_job_that_was_cancelled(step: Step, kind: str) -> None:
    """The job is cancelled during `up`, before the id is known; an instance that was up before must stay."""
    (step.folder / "slow").touch()
    process = subprocess.Popen(
        ["node", str(REPO / "action" / "main.js")], env=step.environ(SHOP, {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not (step.folder / "begun").exists():
            assert process.poll() is None
        getattr(process, "kill" if kind == "kill" else "terminate")()
        assert process.wait(60) != 0
    finally:
        process.kill()
        process.wait()
    step.run("post", {})
    assert [call for call in after(step.calls) if call[0] == "down"] == [["down", "shop-2"]]


def test_every_input_is_declared() -> None:
    declared = set(yaml.safe_load((REPO / "action.yml").read_text())["inputs"])
    text = "".join(path.read_text() for path in sorted((REPO / "action").glob("*.js")))
    read = set(re.findall(r"""(?:input|words|lines)\('([\w-]+)'\)""", text))
    listed = set(re.findall(r"'(\w+)'", text.split("const SINGLE = ")[1].split("\n")[0])) | set(
        re.findall(r"(\w+): (?:words|lines)", text.split("const LISTS = ")[1].split("\n")[0])
    )
    assert read | listed == declared
