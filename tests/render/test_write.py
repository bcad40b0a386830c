from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from envctl.engines.registry import traits
from envctl.errors import UsageError
from envctl.plan.model import File, Plan
from envctl.render import write_manifests
from tests.builders import plan_with, service


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    return plan_with(service("x", files={"/bin/run": File(source=tmp_path / "run.sh", root=tmp_path)}), losses=("something",))


def on(plan: Plan, engine: str) -> Plan:
    return replace(plan, setting=replace(plan.setting, engine=traits(engine)))


def test_the_text_alone(plan: Plan) -> None:
    found = write_manifests(plan, None)
    assert found.text.startswith("# t, rendered by envctl: docker compose up --wait\n")
    assert yaml.safe_load(found.text)["services"].keys() == {"x"}
    assert found.losses[0] == "something"


def test_a_folder_with_all_it_needs(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    found = write_manifests(plan, folder)
    assert (folder / "compose.yaml").read_text() == found.text
    assert (folder / "files/x/bin/run").read_text() == "#!/bin/sh\n"
    assert (folder / "files/x/bin/run").stat().st_mode & 0o111
    assert sorted(path.name for path in folder.iterdir()) == ["compose.yaml", "files"]


def test_a_folder_can_be_written_again(plan: Plan, tmp_path: Path) -> None:
    write_manifests(plan, tmp_path / "out")
    (tmp_path / "out" / "compose.yaml").write_text("# old, rendered by envctl: docker compose up --wait\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh -e\n")
    assert write_manifests(plan, tmp_path / "out").text == (tmp_path / "out" / "compose.yaml").read_text()
    assert (tmp_path / "out/files/x/bin/run").read_text() == "#!/bin/sh -e\n"


def test_a_file_of_somebody_is_not_replaced(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    with pytest.raises(UsageError, match=r"compose\.yaml exists already, and was not written by envctl"):
        write_manifests(plan, tmp_path)
    assert (tmp_path / "compose.yaml").read_text() == "services: {}\n"
    assert not (tmp_path / "files").exists()


def test_a_users_file_beside_is_not_replaced(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "files/x/bin").mkdir(parents=True)
    (tmp_path / "files/x/bin/run").write_text("mine")
    with pytest.raises(UsageError, match="was not written by envctl"):
        write_manifests(plan, tmp_path)
    assert (tmp_path / "files/x/bin/run").read_text() == "mine"


def test_a_link_of_the_project_is_not_written_through(plan: Plan, tmp_path: Path) -> None:
    """A committed link `out` would otherwise decide where `render -o out` writes."""
    plan = replace(plan, setting=replace(plan.setting, project=tmp_path / "project"))
    (tmp_path / "project").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "project/out").symlink_to("../theirs")
    with pytest.raises(UsageError, match="symbolic link"):
        write_manifests(plan, tmp_path / "project/out")
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_folder_that_cannot_be_written(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"out cannot be written: Not a directory") as caught:
        write_manifests(plan, tmp_path / "file" / "out")
    assert caught.value.exit_code == 2


def test_objects_of_a_cluster(plan: Plan, tmp_path: Path) -> None:
    found = write_manifests(on(plan, "kubernetes"), tmp_path / "out")
    assert found.text.startswith("# t, rendered by envctl: kubectl apply -f manifests.yaml\n")
    assert (tmp_path / "out" / "manifests.yaml").read_text() == found.text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifests.yaml"]
    kinds = [each["kind"] for each in yaml.safe_load_all(found.text)]
    assert (kinds[0], kinds[-1]) == ("Namespace", "Deployment")
    assert found.losses[0] == "something"


def test_local_processes_have_no_manifests(plan: Plan) -> None:
    with pytest.raises(UsageError, match="local processes have no manifests"):
        write_manifests(on(plan, "local"), None)
