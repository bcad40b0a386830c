"""S3: ListBuckets succeeds, signed if there are credentials; without credentials, a demand for them is enough."""

from __future__ import annotations

import re

from envctl.readiness import CLOSED, LoginRefused, NotReady, Target, foreign_errors, innermost, shown

UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied")
"""The error codes of refused credentials. A 403 may have other reasons, such as a wrong clock."""


def probe(target: Target) -> None:
    """Raise NotReady with the server's message, or if there is no connection; raise LoginRefused if the server refuses the credentials."""
    import requests
    from requests_aws4auth import AWS4Auth

    of = target.properties
    with foreign_errors(), requests.Session() as session:
        # The endpoint belongs to envctl, so the machine's proxy and .netrc must not be used.
        session.trust_env = False
        if of.get("username"):
            session.auth = AWS4Auth(str(of["username"]), str(of["password"]), str(of.get("region", "us-east-1")), "s3")
        try:
            answer = session.get(f"http://{target.host}:{target.port}/", timeout=target.timeout, allow_redirects=False)
        except requests.RequestException as error:
            cause = innermost(error)
            if isinstance(cause, CLOSED):
                raise cause from None
            raise NotReady(shown(cause)) from error
        if answer.status_code == 403 and session.auth is None:
            return
        if answer.status_code != 200:
            code = _words(answer.text)
            refused = answer.status_code == 403 and code in UNKNOWN
            raise (LoginRefused if refused else NotReady)(f"ListBuckets answered {answer.status_code} {code}")


def _words(text: str) -> str:
    """Return the code in S3's error document."""
    found = re.search(r"<Code>(.*?)</Code>", text)
    return shown(found[1] if found else text)
