"""SOCKS proxies for urllib3, by the keeper's implementation, because urllib3's own support needs another package."""

from __future__ import annotations

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from envctl.keeper.cluster.protocol import Refused
from envctl.keeper.cluster.proxy import through

PATIENCE = 10.0
"""The seconds that a connection may take to open if the request has no timeout."""


def is_socks(proxy: str | None) -> bool:
    """Return whether *proxy* is the URL of a SOCKS5 proxy."""
    return bool(proxy) and str(proxy).startswith("socks5")


def lead_through(pool: urllib3.PoolManager, proxy: str) -> urllib3.PoolManager:
    """Make all future connections of *pool* go through *proxy*, and return *pool*."""

    def dial(self: Any) -> socket.socket:
        """Open the connection in the place of `_new_conn`; raise only errors after which urllib3 retries."""
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
