"""urllib3's connections through a SOCKS proxy, by what the keeper uses: its own way wants another package."""

from __future__ import annotations

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from envctl.keeper.cluster.protocol import Refused
from envctl.keeper.cluster.proxy import through

PATIENCE = 10.0


def is_socks(proxy: str | None) -> bool:
    return bool(proxy) and str(proxy).startswith("socks5")


def lead_through(pool: urllib3.PoolManager, proxy: str) -> urllib3.PoolManager:
    """*pool*, whose connections all begin at *proxy* from now on."""

    def dial(self: Any) -> socket.socket:
        """In the place of `_new_conn`, which opens the stream; its errors are those that urllib3 tries again after."""
        patience = self.timeout if isinstance(self.timeout, int | float) else PATIENCE
        try:
            stream = through(proxy, self.host, self.port, patience)
            stream.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        except (OSError, Refused) as error:
            raise NewConnectionError(self, f"through its proxy: {error}") from error
        return stream

    classes = {}
    for scheme, connection, base in (
        ("http", HTTPConnection, urllib3.HTTPConnectionPool),
        ("https", HTTPSConnection, urllib3.HTTPSConnectionPool),
    ):
        ours = type(f"Socks{connection.__name__}", (connection,), {"_new_conn": dial})
        classes[scheme] = type(f"Socks{base.__name__}", (base,), {"ConnectionCls": ours})
    pool.pool_classes_by_scheme = classes
    return pool
