"""Where programs listen."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from envctl.engines.listening import addresses, addresses_of

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1FBB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0B00007F:A0B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:1FBB 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0
   1: 00000000000000000000000001000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 555 1 0
"""  # noqa: E501


def test_what_the_kernel_tells() -> None:
    """Connections do not listen, and Docker's resolver is not the service."""
    assert addresses(TABLE) == [("::", 80), ("::1", 8000), ("127.0.0.1", 8123)]
    assert addresses(TABLE, {"444"}) == [("::", 80)]
    assert addresses("cat: not found") == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert listening.getsockname() in addresses_of([os.getpid()])
        assert addresses_of([]) == []
