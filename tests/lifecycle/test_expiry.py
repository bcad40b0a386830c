"""When an instance expires: on a cluster always, on other engines only on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from envctl.errors import DefinitionError, UsageError
from envctl.instance.record import now
from envctl.lifecycle.expiry import expiry
from tests.builders import session_in, write

HOUR = 3600.0


def until(folder: Path, engine: str, asked: float | None, settings: str = "", untrusted: bool = False) -> str | None:
    write(folder, {".git/HEAD": "", "envctl.toml": settings})
    return expiry(session_in(folder), engine, asked, untrusted)


@pytest.mark.parametrize(
    ("settings", "asked", "hours"),
    [("", None, 24), ("", 2 * HOUR, 2), ('[preview]\nttl = "3h"\n', None, 3), ('[preview]\nmax = "4h"\n', None, 4), ("", 168 * HOUR, 168)],
)
def test_on_a_cluster_each_one_goes(tmp_path: Path, settings: str, asked: float | None, hours: int) -> None:
    found = until(tmp_path, "kubernetes", asked, settings)
    assert found is not None
    assert now(hours * HOUR - 60) < found <= now(hours * HOUR + 1)


@pytest.mark.parametrize("engine", ["docker", "local"])
def test_elsewhere_it_stays_unless_somebody_says_so(tmp_path: Path, engine: str) -> None:
    assert until(tmp_path, engine, None) is None
    found = until(tmp_path, engine, 9999 * HOUR)
    assert found is not None
    assert found > now(9000 * HOUR)


@pytest.mark.parametrize(("settings", "asked"), [("", 169 * HOUR), ('[preview]\nmax = "1h"\n', 2 * HOUR)])
def test_more_than_the_most_is_refused(tmp_path: Path, settings: str, asked: float) -> None:
    with pytest.raises(UsageError, match="longer than an instance may live on a cluster"):
        until(tmp_path, "kubernetes", asked, settings)


@pytest.mark.parametrize("text", ['ttl = "soon"', 'max = "0"'])
def test_what_is_no_time_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"envctl.toml: preview\."):
        until(tmp_path, "kubernetes", None, f"[preview]\n{text}\n")


@pytest.mark.parametrize("text", ["ttl = 24", 'sleep = "30m"'])
def test_another_key_or_type_is_a_mistake(tmp_path: Path, text: str) -> None:
    with pytest.raises(DefinitionError, match=r"preview\."):
        until(tmp_path, "kubernetes", None, f"[preview]\n{text}\n")


@pytest.mark.parametrize(
    ("settings", "asked", "hours"),
    [("", None, 4), ("", 24 * HOUR, 4), ("", HOUR, 1), ('[preview]\nuntrusted = "30m"\n', None, 0.5), ('[preview]\nmax = "1h"\n', None, 1)],
)
def test_a_strangers_goes_sooner(tmp_path: Path, settings: str, asked: float | None, hours: float) -> None:
    found = until(tmp_path, "kubernetes", asked, settings, untrusted=True)
    assert found is not None
    assert now(hours * HOUR - 60) < found <= now(hours * HOUR + 1)
