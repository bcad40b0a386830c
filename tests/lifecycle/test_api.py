"""`from envctl import up, down, env, reset`: several calls at once in one process, and none leaves anything behind."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import os
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import envctl
from envctl import Phase, Session, down, env, reset, up
from envctl.cli.options import Running
from envctl.errors import DefinitionError, EnvctlError, ServiceFailed, UsageError
from envctl.lifecycle import run as running
from envctl.lifecycle.change import restart, seed
from envctl.lifecycle.options import UpOptions
from tests.builders import session_in, write
from tests.lifecycle.line import Told
from tests.processes import until

PAGE = """
name: {name}
services:
  page:
    run: python3 -m http.server ${{self.port}} --bind ${{self.bind}}
    port: 8000
    ready: {{http: /}}
    build: {folder}
  cache:
    kind: valkey
    seed: [{{command: touch seeded}}]
outputs: {{PAGE: "${{page.url}}", CACHE: "${{cache.url}}"}}
"""


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Yield a session of a local project with two environments and a state folder of its own; remove all instances afterwards."""
    for name in ("one", "other"):
        write(tmp_path, {f"environments/{name}.yaml": PAGE.format(name=name, folder=f"./{name}"), f"environments/{name}/index.html": name})
    write(tmp_path, {"envctl.toml": ""})
    found = session_in(tmp_path / "state", tmp_path, HOME=os.environ.get("HOME", "/root"), ENVCTL_ENGINE="local")
    yield found
    for record in found.store.all():
        down(record.id, session=found)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Check that a test leaves no environment variable, no open file and no thread behind."""
    environ, threads = variables(), set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert variables() == environ
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []
    until(lambda: not [thread for thread in set(threading.enumerate()) - threads if thread.is_alive()], 10, "the end of its threads")


def variables() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}


def page(instance: envctl.Instance) -> str:
    with urllib.request.urlopen(instance.outputs["PAGE"] + "/index.html", timeout=10) as answer:
        return str(answer.read().decode())


def at_once(*calls: Any) -> list[Any]:
    """Run each call in a thread of its own; return their results, with the exception in place of a result where a call raised one."""
    found: list[Any] = [None] * len(calls)

    def work(number: int) -> None:
        try:
            found[number] = calls[number]()
        except BaseException as error:
            found[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return found


def test_up_env_reset_down(session: Session, tmp_path: Path) -> None:
    told = Told()
    instance = up("one", engine="local", session=session, listeners=[told])
    assert (instance.name, page(instance)) == ("one", "one")
    assert {name: service["state"] for name, service in instance.services.items()} == {"page": "seeded", "cache": "seeded"}
    assert (told.begun, told.ended) == (1, 1)
    assert [event.phase for event in told.events if event.service == "cache"][-1] is Phase.SEEDED
    variables = env("one", session=session)
    assert variables == instance.env()
    assert variables == {**variables, **instance.outputs, "ENVCTL_INSTANCE": instance.id}
    assert variables.keys() - instance.outputs.keys() == {"ENVCTL_INSTANCE", "ENVCTL_URL", "ENVCTL_TOKEN"}, "no option's name"
    again = Told()
    reset("one", ["cache"], session=session, listeners=[again])
    assert {event.service for event in again.events} == {"cache"}
    assert Phase.SEEDING in [event.phase for event in again.events]
    (removed,) = down("one", session=session)
    assert (removed.id, removed.left) == (instance.id, ())
    assert down("one", session=session) == []
    with pytest.raises(UsageError, match="nothing named 'one' is up"):
        env("one", session=session)


def test_up_takes_every_option_of_the_command_line() -> None:
    options = {"ports" if field.name == "port" else field.name for field in dataclasses.fields(Running)}
    assert options <= set(inspect.signature(up).parameters)


def test_up_twice_in_a_row(session: Session) -> None:
    first = up("one", engine="local", session=session)
    second = up("one", engine="local", session=session)
    assert (second.outputs, second.id) == (first.outputs, first.id)
    second.down()
    third = up("one", engine="local", session=session)
    assert page(third) == "one"
    assert third.record.secret != first.record.secret
    third.down()


def test_two_different_ones_at_once(session: Session) -> None:
    one, other = at_once(*(lambda name=name: up(name, engine="local", session=session) for name in ("one", "other")))
    assert [page(one), page(other)] == ["one", "other"]
    assert not set(one.outputs.values()) & set(other.outputs.values())
    assert at_once(one.down, other.down) == [None, None]
    assert session.store.all() == []


def test_the_same_one_at_once(session: Session) -> None:
    """The second call waits for the first, and then uses the same instance."""
    one, other = at_once(*[lambda: up("one", engine="local", session=session)] * 2)
    assert (one.id, one.outputs) == (other.id, other.outputs)
    assert page(one) == "one"
    one.down()


def test_two_sessions_do_not_see_each_other(session: Session, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(
        elsewhere, {"envctl.toml": "", "environments/one.yaml": PAGE.format(name="one", folder="./one"), "environments/one/index.html": "e"}
    )
    other = session_in(elsewhere / "state", elsewhere, HOME=session.environ["HOME"])
    here, there = at_once(lambda: up("one", engine="local", session=session), lambda: up("one", engine="local", session=other))
    assert [page(here), page(there)] == ["one", "e"]
    assert [record.id for record in session.store.all()] == [here.id]
    assert [record.id for record in other.store.all()] == [there.id]
    with pytest.raises(UsageError, match="nothing named"):
        env(there.id, session=session)
    there.down()
    assert page(here) == "one"
    here.down()


def test_one_that_fails_does_not_disturb_another(session: Session, tmp_path: Path) -> None:
    bad = "name: bad\nservices: {api: {run: 'sh -c \"echo no; exit 3\"'}}\n"
    write(tmp_path, {"environments/bad.yaml": bad})
    one, error = at_once(*(lambda name=name: up(name, engine="local", session=session) for name in ("one", "bad")))
    assert isinstance(error, ServiceFailed)
    assert "api ended with 3" in error.message
    assert page(one) == "one"
    assert [record.name for record in session.store.all()] == ["one"]
    one.down()


def test_a_mistake_is_an_error_like_any_other(session: Session, tmp_path: Path) -> None:
    write(tmp_path, {"environments/bad.yaml": "name: bad\nservices: {api: {kind: nosuch}}\n"})
    with pytest.raises(DefinitionError):
        up("bad", engine="local", session=session)
    with pytest.raises(UsageError, match="ttl='soon'"):
        up("one", engine="local", session=session, ttl="soon")
    with pytest.raises(UsageError, match="not a duration"):
        up("one", engine="local", session=session, timeout=0)
    assert not session.store.home.exists()


def test_as_a_context_it_is_gone_afterwards(session: Session) -> None:
    with up("one", engine="local", session=session) as instance, up("one", engine="local", session=session) as again:
        assert again.id == instance.id
    assert session.store.all() == []
    with pytest.raises(ZeroDivisionError), up("one", engine="local", session=session):
        raise ZeroDivisionError
    assert session.store.all() == []


def test_as_a_context_what_was_up_before_stays(session: Session) -> None:
    up("one", engine="local", session=session)
    with up("one", engine="local", session=session):
        pass
    assert [record.name for record in session.store.all()] == ["one"]


def test_its_names_are_there() -> None:
    assert {name for name in envctl.__all__ if not hasattr(envctl, name)} == set()
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = envctl.nosuch


def test_what_is_left_is_an_error(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    up("one", engine="local", session=session)
    monkeypatch.setattr("envctl.lifecycle.down.remove_everywhere", lambda *words: ["a process"])
    with pytest.raises(EnvctlError, match="one: left behind: a process"):
        down("one", session=session)


def test_changed_seeds_are_refused_by_whatever_would_mix_them(session: Session, tmp_path: Path) -> None:
    up("one", engine="local", session=session)
    path = tmp_path / "environments/one.yaml"
    path.write_text(path.read_text().replace("touch seeded", "touch other}, {command: touch more"))
    [record] = session.store.all()
    again = partial(up, "one", engine="local", session=session)
    for change in (partial(seed, session, record), partial(restart, session, record, "cache"), again):
        with pytest.raises(UsageError, match=r"cache: seed step 1 .* has changed"):
            change()
    reset("one", session=session)
    assert len(session.store.all()[0].data["cache"].steps) == 2


def test_a_test_that_needs_less_leaves_what_is_up_whole(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "environments/one.yaml"
    path.write_text(path.read_text() + 'tests: {quick: {run: "true", only: [cache]}}\n')
    instance = up("one", engine="local", session=session)
    assert running.test(session, UpOptions("one", engine="local"), ["quick"]) == 0
    assert page(instance) == "one"
    down("one", session=session)
    assert running.test(session, UpOptions("one", engine="local"), ["quick"]) == 0
    assert session.store.all() == []
