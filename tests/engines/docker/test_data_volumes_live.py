"""Servers of a Compose file are seeded once, even if their containers are replaced."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

import pytest

from tests.support import REQUIRED, Project, missing

FILE = """
services:
  named: {image: "valkey/valkey:8.1", volumes: ["kept:/data"], ports: ["6379"], labels: {try: "TRY"}}
  nameless: {image: "valkey/valkey:8.1", ports: ["6379"], labels: {try: "TRY"}}
  others: {image: "valkey/valkey:8.1", volumes: ["theirs:/data"], ports: ["6379"], labels: {try: "TRY"}}
volumes: {kept: {}, theirs: {external: true, name: THEIRS}}
"""
SEEDED = """
from: ../compose.yaml
services:
  named: {seed: [{keys: k.json}]}
  nameless: {seed: [{keys: k.json}]}
  others: {seed: [{keys: k.json}]}
"""


def containers(id: str) -> dict[str, str]:
    listed = ["docker", "ps", "--no-trunc", "--filter", f"label=envctl.instance={id}"]
    shown = subprocess.check_output([*listed, "--format", '{{.Label "com.docker.compose.service"}} {{.ID}}'], text=True)
    return dict(line.split() for line in shown.splitlines())


@pytest.mark.skipif("docker" in missing and "docker" not in REQUIRED, reason=f"no Docker here: {missing.get('docker')}")
def test_a_container_that_is_made_anew_is_not_seeded_again(tmp_path: Path) -> None:
    project = Project(tmp_path / "envctl-tests", "docker")
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    project.environment("kept", SEEDED)
    project.write("environments/k.json", '{"word": "first"}')
    theirs = f"envctl-tests-{secrets.token_hex(4)}"
    subprocess.check_output(["docker", "volume", "create", theirs])

    def up(label: str) -> str:
        project.write("compose.yaml", FILE.replace("TRY", label).replace("THEIRS", theirs))
        return project.envctl("up", "kept", env=state).ok().err

    try:
        assert up("1").count("seeding: keys") == 3
        [record] = (tmp_path / "state").glob("envctl/*/instance.json")
        id = record.parent.name
        first = containers(id)
        assert "seeding" not in up("2")
        assert not set(first.values()) & set(containers(id).values())

        # Earlier versions of envctl used the container's id as the data id.
        told = json.loads(record.read_text())
        for name, container in containers(id).items():
            told["data"][name]["data_id"] = container
        record.write_text(json.dumps(told))
        assert "seeding" not in up("3")

        # The reset is refused because of `others`: nothing may change.
        before = containers(id)
        refused = project.envctl("reset", "kept", "nameless", "others", env=state)
        assert (refused.status, containers(id)) == (2, before)
        assert "others keeps its data in the external volume" in refused.err

        subprocess.check_output(["docker", "rm", "-f", *containers(id).values()])
        subprocess.check_output(["docker", "volume", "rm", f"{id}_kept", theirs])
        subprocess.check_output(["docker", "volume", "create", theirs])
        assert up("3").count("seeding: keys") == 3
    finally:
        project.envctl("down", "--all", env=state)
        subprocess.check_output(["docker", "volume", "rm", "-f", theirs])
