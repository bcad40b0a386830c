"""The addresses on which programs listen."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from envctl.engines.listening import addresses, addresses_beside, addresses_of
from envctl.errors import EnvctlError

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1FBB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0B00007F:A0B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:1FBB 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0
   2: 0000000000000000FFFF00000100007F:1F41 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 666 1 0
   1: 00000000000000000000000001000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 555 1 0
"""  # noqa: E501


def test_what_the_kernel_tells() -> None:
    """The table also has established connections and Docker's DNS resolver, which do not count."""
    assert addresses(TABLE) == [("::", 80), ("::1", 8000), ("127.0.0.1", 8001), ("127.0.0.1", 8123)]
    assert addresses(TABLE, {"444"}) == [("::", 80)]
    assert addresses("cat: not found") == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_process_that_is_not_the_containers() -> None:
    with pytest.raises(EnvctlError, match="no program"):
        addresses_beside(os.getpid(), "0" * 64)
    with pytest.raises(EnvctlError, match="no program"):
        addresses_beside(1 << 30, "")
    group = Path("/proc/self/cgroup").read_text().strip()[:8]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert listening.getsockname() in addresses_beside(os.getpid(), group)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert listening.getsockname() in addresses_of([os.getpid()])
        assert addresses_of([]) == []
