from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envctl.definition.expressions import escape
from envctl.definition.models import Build
from envctl.instance.allocation import Allocation
from envctl.plan.make import make_plan
from envctl.plan.model import BuildPlan, Check, File, Limits, Plan, ServicePlan, Setting
from envctl.render.compose import Rendered, build_entry, compose_text, compose_yaml, escaped, files_hash, labels, render_compose
from envctl.render.merging import merged
from tests.builders import environment_of, plan_of, plan_with, port, service, setting_of, step_of

HEALTH = ("CMD", "true")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NASTY = "a$b ${c} $$d '\"\\\n\t #ü:\r {{x}}"


def rendered(*services: ServicePlan, standalone: bool = True, **changes: Any) -> dict[str, Any]:
    return dict(render_compose(plan_with(*services, **changes), standalone=standalone).document)


def setting_with(**changes: Any) -> Setting:
    return replace(plan_with().setting, **changes)


def entry(found: ServicePlan, *others: ServicePlan, standalone: bool = True) -> dict[str, Any]:
    """Return the rendered Compose service of *found*."""
    return dict(rendered(found, *others, standalone=standalone)["services"][found.name])


def unescaped(value: Any) -> Any:
    """Return a value as Compose reads it: `$$` becomes `$`; any other `$` would start a variable and fails."""
    if isinstance(value, dict):
        return {key: unescaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unescaped(item) for item in value]
    if isinstance(value, str):
        assert "$" not in value.replace("$$", "")
        return value.replace("$$", "$")
    return value


# Byte for byte


@given(TEXT, st.sampled_from([True, False]))
def test_values_come_back_byte_for_byte(text: str, standalone: bool) -> None:
    found = service(
        "x",
        env={"A": text},
        run=("sh", "-c", text),
        command=(text,),
        healthcheck=("CMD", text),
        files={f"/etc/{text}": File(text=text)},
        build=BuildPlan(Build(args={"A": text}, dockerfile_inline=text, labels={"a": text}), Path("/app"), "x:1"),
    )
    document = rendered(found, standalone=standalone)
    assert unescaped(json.loads(compose_text(Rendered(document)))) == unescaped(document)
    shown = unescaped(document)["services"]["x"]
    assert shown["environment"]["A"] == text
    assert (shown["entrypoint"], shown["command"], shown["healthcheck"]["test"]) == (["sh", "-c", text], [text], ["CMD", text])
    if standalone:
        (mounted,) = shown["configs"]
        assert mounted["target"] == f"/etc/{text}"
        assert unescaped(document)["configs"][mounted["source"]] == {"content": text}
        build = shown["build"]
        assert (build["args"]["A"], build["labels"]["a"], build.get("dockerfile_inline", "")) == (text, text, text)


@given(st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none() | st.lists(TEXT)))
def test_yaml_for_people_says_the_same(document: dict[str, Any]) -> None:
    assert yaml.safe_load(compose_yaml(Rendered({"x": document}))) == {"x": document}


@given(TEXT)
def test_what_is_escaped_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


def test_arguments_of_a_build_may_be_a_list() -> None:
    build = BuildPlan(Build(args=["A=$x", "B"]), Path("/app"), "x:1")
    assert build_entry(service("x", build=build))["args"] == ["A=$$x", "B"]


def test_labels_come_back_byte_for_byte() -> None:
    setting = setting_with(name="n", project=Path("/a$b"))
    document = rendered(service("x", data="/data"), setting=setting)
    for marks in (document["services"]["x"]["labels"], document["networks"]["default"]["labels"], document["volumes"]["x-data"]["labels"]):
        assert unescaped(marks)["envctl.project"] == "/a$b"


# Settings of every service


def test_everything_carries_the_labels() -> None:
    setting = setting_with(owner="host:1:2", environment="e")
    plan = plan_with(service("x", data="/data"), setting=setting)
    assert labels(plan) == {
        "envctl.name": "t",
        "envctl.instance": "t-123456",
        "envctl.project": "/project",
        "envctl.owner": "host:1:2",
        "envctl.environment": "e",
        "envctl.key": "",
    }
    document = render_compose(plan, standalone=False).document
    assert document["name"] == "t-123456"
    assert document["services"]["x"]["labels"] == {**labels(plan), "envctl.service": "x"}
    assert document["volumes"] == {"x-data": {"labels": {**labels(plan), "envctl.service": "x"}}}
    assert document["networks"] == {"default": {"name": "t-123456", "labels": labels(plan)}}


def test_a_network_has_a_subnet_of_its_own() -> None:
    document = rendered(service("x"), setting=setting_with(allocation=Allocation(subnet="10.231.0.0/27")))
    assert document["networks"]["default"]["ipam"] == {"config": [{"subnet": "10.231.0.0/27"}]}


# A service


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"image": "x:1", "init": True, "stop_grace_period": "1s"}),
        ({"stop": 2.5}, {"stop_grace_period": "2.5s"}),
        ({"entrypoint": ("a",), "command": ("b",)}, {"entrypoint": ["a"], "command": ["b"]}),
        ({"entrypoint": ("a",), "run": ("b", "c")}, {"entrypoint": ["b", "c"], "command": []}),
        ({"env": {"A": "$"}, "unset": ("B",)}, {"environment": {"A": "$$", "B": None}}),
        ({"user": 999}, {"user": "999:999"}),
        ({"tester": True}, {"extra_hosts": ["host.docker.internal:host-gateway"]}),
        ({"replicas": 3}, {"scale": 3}),
        ({"data": "/data"}, {"volumes": [{"type": "volume", "source": "x-data", "target": "/data"}]}),
        ({"resources": Limits(cpu=0.5, memory=1 << 30)}, {"deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "1G"}}}}),
        ({"resources": Limits(memory=1 << 30)}, {"deploy": {"resources": {"limits": {"memory": "1G"}}}}),
        ({"compose": {"tty": True, "init": None, "user": "root"}}, {"tty": True, "user": "root"}),
    ],
)
def test_keys_of_a_service(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = entry(service("x", **changes))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("platform", "subnet", "host"),
    [("linux", "10.0.0.0/27", "10.0.0.1"), ("linux", None, "host-gateway"), ("darwin", "10.0.0.0/27", "host-gateway")],
)
def test_processes_of_this_machine_are_known_by_name(monkeypatch: pytest.MonkeyPatch, platform: str, subnet: str | None, host: str) -> None:
    monkeypatch.setattr("sys.platform", platform)
    setting = setting_with(allocation=Allocation(subnet=subnet), local=frozenset(["orders", "api"]))
    found = rendered(service("x", tester=True), setting=setting)["services"]["x"]
    assert found["extra_hosts"] == ["host.docker.internal:host-gateway", f"api:{host}", f"orders:{host}"]


def test_what_is_not_given_is_not_there() -> None:
    assert entry(service("x")).keys() == {"image", "labels", "init", "stop_grace_period"}


def test_a_fragment_can_remove_a_key() -> None:
    assert "init" not in entry(service("x", compose={"init": None}))


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": None}, {}),
    ],
)
def test_fragments_are_merged(below: dict[str, Any], above: dict[str, Any], expected: dict[str, Any]) -> None:
    before = json.dumps(below)
    assert merged(below, above) == expected
    assert json.dumps(below) == before


# Ports


@pytest.mark.parametrize(
    ("found", "standalone", "published"),
    [
        (port("a", 80, 20000), False, "20000"),
        (port("a", 80, 20000), True, None),
        (port("a", 80, 20000, reserved=True), True, "20000"),
        (port("a", 80, 20000, reserved=True), False, "20000"),
        (port("a", 80), False, None),
    ],
)
def test_a_port_is_published(found: Any, standalone: bool, published: str | None) -> None:
    (shown,) = entry(service("x", ports=(found,)), standalone=standalone)["ports"]
    assert shown.pop("published", None) == published
    assert shown == {"target": 80, "host_ip": "127.0.0.1", "protocol": "tcp", "mode": "host"}


def test_replicas_share_a_range_of_ports() -> None:
    (shown,) = entry(service("x", replicas=3, ports=(port("a", 80, 20000),)), standalone=False)["ports"]
    assert shown["published"] == "20000-20002"


# Start order


@pytest.mark.parametrize(
    ("changes", "condition", "expected"),
    [
        ({"healthcheck": HEALTH}, "seeded", "service_healthy"),
        ({"healthcheck": HEALTH}, "ready", "service_healthy"),
        ({"healthcheck": HEALTH}, "started", "service_started"),
        ({}, "seeded", "service_started"),
        ({"kind": "job", "once": True}, "done", "service_completed_successfully"),
        ({"from_compose": True, "compose": {"healthcheck": {"test": "x"}}}, "ready", "service_healthy"),
        ({"from_compose": True, "compose": {"healthcheck": {"disable": True}}}, "ready", "service_started"),
    ],
)
def test_a_need_is_a_condition(changes: dict[str, Any], condition: str, expected: str) -> None:
    found = entry(service("x", needs={"db": condition, "elsewhere": "ready"}), service("db", **changes))
    assert found["depends_on"] == {"db": {"condition": expected}}


@pytest.mark.parametrize(
    ("standalone", "timeout", "expected"),
    [
        (True, 60.0, {"test": ["CMD", "true"], "interval": "1s", "timeout": "5s", "retries": 60}),
        (True, 0.5, {"test": ["CMD", "true"], "interval": "1s", "timeout": "5s", "retries": 3}),
        (False, 60.0, {"test": ["CMD", "true"], "interval": "15s", "timeout": "5s", "retries": 3}),
    ],
)
def test_a_health_check(standalone: bool, timeout: float, expected: dict[str, Any]) -> None:
    assert entry(service("x", healthcheck=HEALTH, ready_timeout=timeout), standalone=standalone)["healthcheck"] == expected


@pytest.mark.parametrize("standalone", [True, False])
def test_a_guess_does_not_hide_the_check_of_an_image_and_is_no_loss(standalone: bool) -> None:
    guessed = service("x", healthcheck=HEALTH, checks=(Check("tcp", {"patience": 10.0}),), from_compose=True)
    assert "healthcheck" not in entry(guessed, standalone=standalone)
    assert render_compose(plan_with(guessed), standalone=standalone).losses == ()


def test_a_service_beside_those_of_a_compose_file_is_on_their_networks() -> None:
    theirs = service("x", from_compose=True, compose={"networks": {"front": None, "back": {"aliases": ["y"]}}})
    document = rendered(theirs, service("mock"), compose_extra={"networks": {"front": {}, "back": {}}})
    assert document["services"]["mock"]["networks"] == {"front": None, "back": None}
    assert set(document["networks"]) == {"front", "back"}
    assert "networks" not in entry(service("mock"), service("x", from_compose=True, compose={"networks": {"default": None}}))


# Files and builds


def files(tmp_path: Path) -> dict[str, File]:
    (tmp_path / "b.bin").write_bytes(b"\xff")
    return {"/etc/a$.conf": File(text="a$b"), "/opt/b.bin": File(source=tmp_path / "b.bin", root=tmp_path)}


def test_for_plain_compose_texts_are_configs_and_binaries_mounts(tmp_path: Path) -> None:
    plan = plan_with(service("x", files=files(tmp_path)), service("y", files={"/same": File(text="a$b")}))
    found = render_compose(plan, standalone=True)
    x, y = found.document["services"]["x"], found.document["services"]["y"]
    assert x["volumes"] == [{"type": "bind", "source": "./files/x/opt/b.bin", "target": "/opt/b.bin", "read_only": True}]
    assert x["configs"][0]["target"] == "/etc/a$$.conf"
    assert x["configs"][0]["source"] == y["configs"][0]["source"]
    assert found.document["configs"] == {x["configs"][0]["source"]: {"content": "a$$b"}}
    assert found.binaries == {"files/x/opt/b.bin": File(source=tmp_path / "b.bin", root=tmp_path)}


def test_for_up_files_are_no_part_of_it(tmp_path: Path) -> None:
    found = render_compose(plan_with(service("x", files=files(tmp_path))), standalone=False)
    assert not {"volumes", "configs"} & found.document["services"]["x"].keys()
    assert "configs" not in found.document
    assert found.binaries == {}


def test_changed_files_make_another_container(tmp_path: Path) -> None:
    found = service("x", files=files(tmp_path))
    before = files_hash(found)
    assert entry(found, standalone=False)["labels"]["envctl.files"] == before
    (tmp_path / "b.bin").write_bytes(b"\xfe")
    assert files_hash(found) != before
    assert files_hash(service("x", files={"/a": File(text="1")})) != files_hash(service("x", files={"/b": File(text="1")}))


def test_a_build_is_composes_to_make() -> None:
    build = BuildPlan(Build(context="./a", target="t", args={"A": "$1", "B": None}), Path("/p/a"), "x:abc")
    found = entry(service("x", image="x:abc", build=build))
    assert found["build"] == {"context": "/p/a", "target": "t", "args": {"A": "$$1", "B": None}, "labels": {"envctl.build": "x:abc"}}
    assert found["pull_policy"] == "build"
    assert "build" not in entry(service("x", build=build), standalone=False)


# Services of a Compose file


def test_a_service_of_a_compose_file_is_what_the_file_says() -> None:
    fragment = {"image": "x:1", "tty": True, "healthcheck": {"test": ["CMD", "y"], "interval": "9s"}, "labels": {"theirs": "1"}}
    found = entry(service("x", from_compose=True, compose=fragment, needs={}, env={"A": "$"}))
    assert found["healthcheck"] == fragment["healthcheck"]
    switched_off = {"healthcheck": {"disable": True}}
    assert entry(service("x", compose=switched_off, from_compose=True))["healthcheck"] == {"disable": True}
    assert found["tty"] is True
    assert found["labels"]["theirs"] == "1"
    assert found["labels"]["envctl.service"] == "x"
    assert found["environment"] == {"A": "$$"}
    assert not {"init", "stop_grace_period"} & found.keys()


def test_networks_and_volumes_of_a_compose_file_are_the_instances() -> None:
    extra = {
        "networks": {"back": {"internal": True}, "theirs": {"external": True}, "bare": None},
        "volumes": {"v": None, "theirs": {"external": True}},
        "configs": {"c": {"content": "x"}},
        "secrets": {"s": {"file": "s"}},
    }
    document = rendered(service("x", from_compose=True, compose={"networks": {"back": None}}), compose_extra=extra)
    marks = labels(plan_with())
    assert document["networks"] == {
        "back": {"internal": True, "name": "t-123456_back", "labels": marks},
        "theirs": {"external": True},
        "bare": {"name": "t-123456_bare", "labels": marks},
    }
    assert document["volumes"] == {"v": {"name": "t-123456_v", "labels": marks}, "theirs": {"external": True}}
    assert document["configs"] == {"c": {"content": "x"}}
    assert document["secrets"] == {"s": {"file": "s"}}


@pytest.mark.parametrize(("front", "joined"), [(None, {"back", "front"}), ({"internal": True}, {"back", "front", "default"})])
def test_tests_reach_a_service_beside_those_of_internal_networks(front: dict[str, Any] | None, joined: set[str]) -> None:
    theirs = service("x", from_compose=True, compose={"networks": {"back": None, "front": None}})
    document = rendered(theirs, service("own"), compose_extra={"networks": {"back": {"internal": True}, "front": front}})
    assert set(document["services"]["own"]["networks"]) == joined == set(document["networks"])
    assert set(document["services"]["x"]["networks"]) == {"back", "front"}


def test_a_default_network_of_a_compose_file_keeps_its_options() -> None:
    document = rendered(service("x"), compose_extra={"networks": {"default": {"driver": "bridge", "name": "theirs"}}})
    assert document["networks"]["default"] == {"driver": "bridge", "name": "t-123456", "labels": labels(plan_with())}


@pytest.mark.parametrize("fragment", [{"networks": ["other"]}, {"network_mode": "host"}])
def test_a_network_that_nobody_uses_is_not_made(fragment: dict[str, Any]) -> None:
    assert "networks" not in rendered(service("x", compose=fragment))


# Not supported by Compose


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({"steps": (step_of("x"),)}, "x: its seeds are not loaded: plain Compose starts it empty, `envctl up` seeds it"),
        ({"setup": ((("make", "it"), {}, ""),)}, "x: what envctl sets up once it is ready (make ...)"),
        (
            {"kind": "nats", "healthcheck_loss": "no program", "checks": (Check("nats"),)},
            "x: its readiness (no program); services that need it start as soon as it has started",
        ),
        (
            {"checks": (Check("log"), Check("query"))},
            "x: its readiness (log, query), which no program in an image can check",
        ),
        (
            {"files": {"/b": File(source=Path(__file__), root=Path(__file__).parent)}},
            "x: binary or executable files are bind mounts here; `up` copies them into the container",
        ),
        ({"kind": "stub", "losses": ("no password",)}, "x: no password"),
        (
            {"kind": "job", "once": True},
            "x: no service needs this job, and `docker compose up --wait` treats the end of such a container as a failure",
        ),
    ],
)
def test_losses_are_listed(changes: dict[str, Any], loss: str) -> None:
    assert render_compose(plan_with(service("x", **changes)), standalone=True).losses == (loss,)


@pytest.mark.parametrize("changes", [{}, {"healthcheck": HEALTH, "checks": (Check("tcp"),), "ports": (port("main", 80),)}])
def test_what_is_expressed_is_no_loss(changes: dict[str, Any]) -> None:
    assert render_compose(plan_with(service("x", **changes)), standalone=True).losses == ()


def test_a_job_that_somebody_needs_is_no_loss() -> None:
    job = service("x", kind="job", once=True)
    assert render_compose(plan_with(job, service("y", needs={"x": "done"})), standalone=True).losses == ()


def test_losses_of_several_services_are_one() -> None:
    marked = [service(name, kind="k", losses=("no password",)) for name in ("a", "b")]
    assert render_compose(plan_with(*marked, losses=("a: x", "c: x")), standalone=True).losses == ("a: x", "c: x", "a, b: no password")


def test_secrets_of_a_dotenv_file_are_not_beside_what_is_rendered() -> None:
    plan = plan_with(setting=setting_with(environ={"B": "b"}), compose_variables={"A": "hidden", "B": "b"})
    (loss,) = render_compose(plan, standalone=True).losses
    assert loss.startswith("secrets and configs of the variables A: ")


def test_losses_of_the_plan_come_first() -> None:
    found = render_compose(plan_with(service("x", kind="k", losses=("b",)), losses=("a",)), standalone=True)
    assert found.losses == ("a", "x: b")


# Whole files


def both(plan: Plan) -> str:
    return "\n".join(compose_yaml(render_compose(plan, standalone=standalone)) for standalone in (True, False))


def test_rendering_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    text = (
        "services: {a: {kind: rabbitmq}, b: {kind: postgres, with: {users: [u]}}, c: {kind: api, image: x, port: 1, env: {A: '${a.url}'}}}"
    )
    environment = environment_of(tmp_path, text)
    setting = setting_of(environment)
    assert both(make_plan(environment, setting)) == both(make_plan(environment_of(tmp_path, text), setting))


def test_a_nasty_password_goes_all_the_way(tmp_path: Path) -> None:
    given = json.dumps(escape(NASTY))
    plan = plan_of(tmp_path, f"services: {{db: {{kind: postgres, with: {{password: {given}}}}}}}")
    document = yaml.safe_load(compose_yaml(render_compose(plan, standalone=True)))
    assert unescaped(document["services"]["db"]["environment"])["POSTGRES_PASSWORD"] == NASTY
