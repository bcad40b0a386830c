from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envctl.cli.printing import WHAT, endpoints, status, table
from envctl.cli.times import relative
from envctl.instance.record import Endpoint, ServiceRecord
from envctl.lifecycle import up
from tests.builders import record_of

CELLS = st.text(st.characters(categories=["L", "N"]), max_size=6)


def entry(**changes: Any) -> dict[str, Any]:
    standard = {"kind": "postgres", "state": "seeded", "ready_ms": 1234, "endpoints": {"main": {"host": "127.0.0.1", "port": 20000}}}
    return {**standard, **changes}


def test_what_is_up() -> None:
    services = {
        "db": ServiceRecord("postgres", endpoints={"main": Endpoint("127.0.0.1", 20000)}),
        "mail": ServiceRecord("mail", endpoints={"smtp": Endpoint("127.0.0.1", 1), "web": Endpoint("127.0.0.1", 22222)}),
        "worker": ServiceRecord("service"),
    }
    record = record_of(name="shop", services=services, outputs={"A": "b"}, timings_ms={"total": 1260}, expires="2030-01-01T02:00:00Z")
    assert endpoints(record, "shop-123456") == [
        f"shop is up (1.3 s; expires {relative('2030-01-01T02:00:00Z')})",
        "  db    main  127.0.0.1:20000",
        "  mail  smtp  127.0.0.1:1",
        "  mail  web   127.0.0.1:22222",
        "envctl env shop-123456 prints its 1 output; envctl down shop-123456 removes it",
    ]


def test_what_took_the_time() -> None:
    services = {"db": ServiceRecord("postgres", ready_ms=900), "api": ServiceRecord("api", ready_ms=11_000)}
    record = record_of(services=services, timings_ms={"plan": 90, "images": 31_000, "services": 12_100, "total": 43_500})
    assert (
        endpoints(record, "t")[1]
        == "most of the time: pulling and building 31.0 s, starting and seeding 12.1 s (the last to be ready: api)"
    )


def test_every_phase_of_up_has_words() -> None:
    assert set(re.findall(r'timer\.phase\("(\w+)"\)', Path(up.__file__).read_text())) == set(WHAT)


def test_what_is_up_without_an_end() -> None:
    assert endpoints(record_of(), "t")[0] == "t is up (0.0 s)"


def test_how_it_is() -> None:
    shown = {
        "name": "shop",
        "id": "shop-123456",
        "engine": "docker",
        "state": "ready",
        "expires": "2001-01-01T00:00:00Z",
        "services": {"db": entry(), "worker": entry(kind="service", state="starting", ready_ms=None, endpoints={})},
    }
    assert status(shown) == [
        f"shop (shop-123456) on docker: ready, expires {relative('2001-01-01T00:00:00Z')}",
        "  SERVICE  KIND      STATE     READY  ENDPOINTS",
        "  db       postgres  seeded    1.2 s  main 127.0.0.1:20000",
        "  worker   service   starting",
    ]


def test_nothing_has_no_lines() -> None:
    assert table([]) == []


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1), st.sampled_from(["", "  "]))
def test_columns_stand_below_each_other(rows: list[tuple[str, str, str]], indent: str) -> None:
    lines = table(rows, indent)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    starts = [len(indent), len(indent) + widths[0] + 2, len(indent) + widths[0] + widths[1] + 4]
    for line, row in zip(lines, rows, strict=True):
        assert line == line.rstrip()
        assert [line[start : start + len(cell)] for start, cell in zip(starts, row, strict=True)] == list(row)


@pytest.mark.parametrize("rows", [[("a",)], [("", "b")]])
def test_small_tables(rows: list[tuple[str, ...]]) -> None:
    assert len(table(rows)) == 1
