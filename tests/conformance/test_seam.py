"""Tests of what `envctl/engines/protocol.py` documents, on every engine and on the fake engine of the tests."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import cast

import pytest

from envctl.engines import Execution, PreparesCommands, RunningInstance, ServiceState, Wanted
from envctl.engines.free_ports import PORTS as ALL_PORTS
from envctl.engines.logs import text
from envctl.engines.protocol import Prunes
from envctl.engines.registry import names
from envctl.errors import EnvctlError
from envctl.instance import labels
from envctl.instance.allocation import Allocation
from envctl.process.attached import Attached
from tests.conformance.seam import Subject, brought_up
from tests.processes import until
from tests.support import REQUIRED, missing

NOWHERE = "nowhere-000000"
LATER, LATEST = "2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module", params=["fake", *names()])
def on(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Yield an instance on each engine, which all tests share; each test restores what it changes."""
    engine = str(request.param)
    if engine in missing and engine not in REQUIRED:
        pytest.skip(f"no {engine} here: {missing[engine]}")
    with brought_up(engine, tmp_path_factory.mktemp(f"seam-{engine}")) as subject:
        yield subject


# Allocation


def test_every_port_gets_a_number_that_nobody_else_has(on: Subject) -> None:
    wanted = Wanted({("a", "http"): 1, ("b", "http"): 2, ("c", "http"): 1}, containers=3)
    found = on.engine.allocate(NOWHERE, wanted, Allocation(), (), ())
    rows = [set(range(found.ports[key], found.ports[key] + width)) for key, width in wanted.ports.items()]
    assert len(set.union(*rows)) == 4


def test_what_was_allocated_before_stays_but_for_what_nobody_wants(on: Subject) -> None:
    first = on.engine.allocate(NOWHERE, Wanted({("a", "http"): 1, ("b", "http"): 1}), Allocation(), (), ())
    again = on.engine.allocate(NOWHERE, Wanted({("b", "http"): 1, ("c", "http"): 1}), first, (), ())
    assert again.ports["b", "http"] == first.ports["b", "http"]
    assert set(again.ports) == {("b", "http"), ("c", "http")}
    assert again.subnet == first.subnet


def test_ports_of_other_instances_are_avoided(on: Subject) -> None:
    free = set(range(ALL_PORTS.stop - 300, ALL_PORTS.stop))
    found = on.engine.allocate(NOWHERE, Wanted({("b", "http"): 1}), Allocation(), set(ALL_PORTS) - free, ())
    assert found.ports["b", "http"] in free
    with pytest.raises(EnvctlError, match="no free port"):
        on.engine.allocate(NOWHERE, Wanted({("c", "http"): 1}), Allocation(), ALL_PORTS, ())


def test_a_subnet_that_was_refused_is_not_given_again(on: Subject) -> None:
    first = on.engine.allocate(NOWHERE, Wanted({}), Allocation(), (), ()).subnet
    second = on.engine.allocate(NOWHERE, Wanted({}), Allocation(), (), (first or "10.0.0.0/24",)).subnet
    assert (first is None) == (second is None), "an engine gives subnets, or it does not"
    assert first is None or first != second


# What does not exist


def test_an_instance_that_is_not_there(on: Subject) -> None:
    there = on.engine.attach(NOWHERE)
    assert (dict(there.states()), there.state("web"), text(there.logs("web"))) == ({}, ServiceState(), "")
    assert list(there.follow(["web"], None)) == []
    with pytest.raises(EnvctlError, match="web"):
        there.interactive("web", ["sh"], {}, None)
    assert list(on.engine.remove(NOWHERE, {"web": 1.0})) == []


def test_a_service_that_is_not_there(on: Subject) -> None:
    other = replace(on.service("store"), name="other")
    for there in (on.attached, on.deployment):
        assert (there.state("other"), text(there.logs("other", 5))) == (ServiceState(), "")
        assert list(there.follow(["other"], 5)) == []
        with pytest.raises(EnvctlError, match="other"):
            there.interactive("other", ["sh"], {}, None)
    with pytest.raises(EnvctlError, match="other"):
        on.deployment.execute("other", Execution(["sh", "-c", "exit 0"]))
    on.deployment.stop(other)
    on.deployment.discard(other)
    assert on.deployment.data_id(other) == ""
    assert "other" not in on.attached.states()


# Creation and start


def test_what_is_there_is_neither_made_nor_started_again(on: Subject) -> None:
    before = {name: on.deployment.state(name).id for name in ("web", "store")}
    on.deployment.prepare(lambda service, text: None)
    on.deployment.create()
    for name in before:
        on.deployment.start(on.service(name))
    assert {name: on.deployment.state(name).id for name in before} == before


def test_a_part_leaves_the_rest_alone(on: Subject) -> None:
    before = {name: state.id for name, state in on.attached.states().items()}
    part = on.part("web")
    part.create(whole=False)
    part.start(on.service("web"))
    assert {name: state.id for name, state in on.attached.states().items()} == before


def test_a_whole_that_lacks_a_service_takes_it_away(on: Subject) -> None:
    on.part("web", "ends", "store").create()
    until(lambda: not on.attached.state("pair").running, what="the end of the pair")
    on.deployment.create()
    on.deployment.start(on.service("pair"))
    on.runs("pair")


# States and logs


def test_states(on: Subject) -> None:
    until(lambda: on.attached.state("ends").status is not None)
    for there in (on.attached, on.deployment):
        states = there.states()
        assert {"web", "pair", "ends", "store"} <= set(states)
        assert (states["web"].running, states["web"].status) == (True, None)
        assert (states["ends"].running, states["ends"].status) == (False, 5)
        assert there.state("web").id == states["web"].id != ""


def test_of_replicas_the_first_that_does_not_run_counts(on: Subject) -> None:
    if on.kill_one is None:
        pytest.skip("no replica can be killed here: the engine's unit tests have this")
    on.kill_one("pair")
    until(lambda: not on.attached.state("pair").running)
    assert on.attached.state("pair").status == 137
    on.deployment.start(on.service("pair"))
    assert on.attached.state("pair").running


def _has_printed(there: RunningInstance, replicas: int) -> bool:
    return text(there.logs("pair")).count("pair started") >= replicas


def test_logs_of_all_replicas(on: Subject) -> None:
    replicas = on.service("pair").replicas
    for there in (on.attached, on.deployment):
        until(partial(_has_printed, there, replicas))
        last = text(there.logs("pair", 1))
        assert (last.count("pair started"), last.count("one line")) == (replicas, 0)
        assert text(there.logs("pair", 0)) == ""
        assert text(there.logs("ends")) == "last words\n"


def test_all_replicas_are_followed(on: Subject) -> None:
    seen, replicas = b"", on.service("pair").replicas
    with closing(cast("Generator[tuple[str, bytes], None, None]", on.attached.follow(["pair", "other"], 1))) as stream:
        for name, piece in stream:
            assert name == "pair"
            seen += piece
            if seen.count(b"pair started") == replicas:
                break
    assert b"one line" not in seen


def test_following_ends_with_what_is_followed(on: Subject) -> None:
    assert b"".join(piece for _, piece in on.attached.follow(["ends"], None)) == b"last words\n"
    assert list(on.attached.follow(["ends"], 0)) == []


def test_a_command_on_this_terminal(on: Subject) -> None:
    for there in (on.attached, on.deployment):
        assert there.interactive("pair", ["env"], {}, None).argv[-1].endswith("env")


# The end of services


@contextmanager
def told(on: Subject) -> Iterator[list[tuple[str, int]]]:
    ends: list[tuple[str, int]] = []
    losses: list[BaseException] = []
    with on.deployment.exit_events(lambda *end: ends.append(end), losses.append):
        yield ends
        assert losses == []
    assert losses == [], "that nobody listens any more is no loss"


def test_an_end_is_told_and_why(on: Subject) -> None:
    on.deployment.discard(on.service("ends"))
    on.deployment.create()
    with told(on) as ends:
        on.deployment.start(on.service("ends"))
        assert until(lambda: [end for end in ends if end[0] == "ends"]) == [("ends", 5)]
        assert on.deployment.exit_reason(on.service("ends")) is None, "its log says more"


def test_stopped_and_started_again_with_the_same_data(on: Subject) -> None:
    store = on.service("store")
    data, process = on.deployment.data_id(store), on.deployment.state("store").id
    assert data != ""
    on.deployment.stop(store)
    on.deployment.stop(store)
    on.deployment.start(store)
    on.runs("store")
    assert on.deployment.data_id(store) == data
    assert process != ""


def test_discarded_data_is_other_data_afterwards(on: Subject) -> None:
    store = on.service("store")
    data = on.deployment.data_id(store)
    for _ in range(2):
        on.deployment.discard(store)
    assert on.deployment.data_id(store) != data
    on.deployment.create(whole=False)
    on.deployment.start(store)
    on.runs("store")
    assert on.deployment.data_id(store) not in ("", data)


# Commands


def test_a_command_inside_is_fed_and_heard(on: Subject) -> None:
    script = 'read -r line; echo "$WORD $MORE $line"; exit 3'
    ran = on.deployment.execute("web", Execution(["sh", "-c", script], {"MORE": "more"}, (b"in", b"put")))
    assert (ran.status, ran.output) == (3, "word more input\n")


def test_a_command_inside_without_input(on: Subject) -> None:
    ran = on.deployment.execute("web", Execution(["sh", "-c", 'echo "$WORD  "; exit 0']))
    assert (ran.status, ran.output.split()) == (0, ["word"])


def test_a_program_that_is_not_inside(on: Subject) -> None:
    ran = on.deployment.execute("web", Execution(["/no/such/program"]))
    assert ran.status in (126, 127)
    assert "/no/such/program" in ran.output


def test_an_input_that_fails_is_the_callers_to_hear(on: Subject) -> None:
    def rows() -> Iterator[bytes]:
        yield b"1\n"
        raise ValueError("line 2: no such column")

    with pytest.raises(ValueError, match="line 2"):
        on.deployment.execute("web", Execution(["sh", "-c", "cat; exit 0"], stdin=rows()))


def test_a_command_beside_a_service(on: Subject) -> None:
    web, argv = on.service("web"), ["sh", "-c", 'echo "$WORD  "; exit 4']
    if isinstance(on.deployment, PreparesCommands):
        on.deployment.prepare_command(web, argv)
    before = on.deployment.state("web")
    for _ in range(2):
        ran = on.deployment.run_command(web, argv)
        assert (ran.status, ran.output.split()) == (4, ["word"])
    assert on.deployment.state("web") == before, "and the service itself goes on"
    assert set(on.attached.states()) == {"web", "pair", "ends", "store"}, "it is no service"
    assert on.attached.state("web").running, "its end is none of the service's"


UNTIL_TERM = """echo "$WORD"; echo aside >&2; trap 'echo trapped; exit 4' TERM; echo ready
sleep 30 & wait; exit 1; : 4"""  # in the background: dash prints "Terminated" for a foreground command that the same signal kills


def test_the_output_of_a_command_beside_a_service_comes_while_it_runs_and_signals_reach_it(on: Subject) -> None:
    out, err = bytearray(), bytearray()

    def hear(piece: bytes) -> None:
        out.extend(piece)
        if b"ready" in piece:  # without the signal, the script ends with exit code 1
            attached.signal(signal.SIGTERM)

    attached = Attached(hear, err.extend)
    ran = on.deployment.run_command(on.service("web"), ["sh", "-c", UNTIL_TERM], attached)
    assert (ran.status, ran.output) == (4, "")
    assert b"word" in out
    if on.engine.name != "fake":
        assert out.endswith(b"trapped\n")
    assert (out + err).count(b"aside") == (on.engine.name != "fake")
    assert err.decode() == ("aside\n" if on.engine.name in ("docker", "local") else ""), "a pod's log is one stream"


def test_a_command_beside_a_service_whose_output_nobody_takes_any_more_ends(on: Subject) -> None:
    def refuse(piece: bytes) -> None:
        raise ValueError("nobody listens")

    with pytest.raises(ValueError, match="nobody listens"):
        on.deployment.run_command(on.service("web"), ["sh", "-c", UNTIL_TERM], Attached(refuse, refuse))


def test_a_command_beside_a_service_that_cannot_be_started(on: Subject) -> None:
    ran = on.deployment.run_command(on.service("web"), ["/no/such/program"])
    assert ran.status in (126, 127)
    assert "/no/such/program" in ran.output


# Other methods


def test_readiness_is_asked_for_at_ports_of_this_machine(on: Subject) -> None:
    found = on.deployment.probe_ports(on.service("web"))
    assert found == on.service("web").outside_ports
    assert all(found.values())
    on.deployment.finish(())
    assert on.deployment.probe_ports(on.service("web")).keys() == found.keys()


def test_it_is_listed_by_its_labels(on: Subject) -> None:
    [found] = [each for each in on.engine.list() if each.id == on.record.id]
    told = labels.labels_of(on.record)
    assert (found.name, found.environment) == (told[labels.NAME], told[labels.ENVIRONMENT])
    assert (found.project, found.owner) == (on.record.project, "")
    replicas = sum(service.replicas for service in on.plan.services.values())
    assert (found.running, found.total) == (replicas - 1, replicas)


def test_its_end_is_noted_in_the_place_of_what_was_noted(on: Subject) -> None:
    def noted() -> list[str | None]:
        return [each.expires for each in on.engine.list() if each.id == on.record.id]

    told = labels.labels_of(on.record)
    for expires in (LATEST, LATER, None):
        on.deployment.renew(expires, told)
        assert noted() in ([expires], [None]), "where an engine notes it, that is what it notes"
    on.attached.renew(None, told)


def test_nothing_of_this_instance_is_pruned(on: Subject) -> None:
    if isinstance(on.engine, Prunes):
        on.engine.prune(False)
    assert on.attached.state("web").running


def test_removed_whoever_follows_it_hears_the_end(on: Subject) -> None:
    """Remove the shared instance; this test must be the last one."""
    ended = threading.Event()

    def follow() -> None:
        for _ in on.attached.follow(["web"], 0):
            pass
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    grace = {"web": 2.0, "pair": 2.0}
    assert list(on.engine.remove(on.record.id, grace)) == []
    assert list(on.engine.remove(on.record.id, grace)) == []
    assert on.record.id not in [each.id for each in on.engine.list()]
    assert on.attached.state("web") == ServiceState()
    assert not [state for state in on.attached.states().values() if state.running]
    assert ended.wait(30)
