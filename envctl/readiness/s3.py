"""S3: a ListBuckets succeeds, signed where there are credentials; without any, that it asks for some is an answer, too."""

from __future__ import annotations

import re

from envctl.readiness import CLOSED, LoginRefused, NotReady, Target, foreign_errors, innermost, shown

UNKNOWN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied")
"""Said of credentials; there are other reasons for a 403: a clock that is wrong, for one."""


def probe(target: Target) -> None:
    """Raises NotReady with the server's words, or for no connection; LoginRefused where it does not know the credentials."""
    import requests
    from requests_aws4auth import AWS4Auth

    of = target.properties
    with foreign_errors(), requests.Session() as session:
        # No proxy and no .netrc of the machine: the endpoint is ours.
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
    """The code of S3's error document."""
    found = re.search(r"<Code>(.*?)</Code>", text)
    return shown(found[1] if found else text)
