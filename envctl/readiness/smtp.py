"""SMTP: the login of the tests succeeds; if the service also has a web page (port `web`), the page must answer."""

from __future__ import annotations

import base64
import dataclasses
import smtplib

from envctl.readiness import NotReady, Target, foreign_errors, http, shown

_ANSWERS = [200, 401, 404]
"""The status codes of Mailpit, and of other mail servers with a page, which a Compose file may use."""


def _log_in(target: Target) -> None:
    user, password = target.properties.get("username"), target.properties.get("password")
    with smtplib.SMTP(target.host, target.port, "localhost", timeout=target.timeout) as session:
        session.ehlo_or_helo_if_needed()
        if user:
            # smtplib's own login only accepts ASCII.
            token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            code, words = session.docmd("AUTH", f"PLAIN {token}")
            if code not in (235, 503):
                raise NotReady(f"login refused: {code} {shown(words.decode(errors='replace'))}")


def probe(target: Target) -> None:
    """Raise NotReady with the server's message, or OSError if there is no connection."""
    with foreign_errors():
        _log_in(target)
    if "web" in target.ports:
        http.probe(dataclasses.replace(target, options={"port": "web", "path": "/readyz", "status": _ANSWERS}))
