"""Tests of the preview comment: its marker, its content for reviewers, and that it contains no secret."""

from __future__ import annotations

import time
from typing import Any

from envctl.preview.comment import markdown, marker
from envctl.preview.lock import Lock
from envctl.preview.preview import State
from envctl.preview.pull_request import PullRequest

REQUEST = PullRequest("github.com/o/r", 17)
DOCUMENT: dict[str, Any] = {
    "expires": "2026-05-01T12:00:00Z", "secrets": ["s3cret", "s3cretlong"],
    "services": {
        "web": {"kind": "api", "state": "seeded", "public_url": "https://web.previews.test"},
        "db": {"kind": "post|gres", "state": "seeded", "endpoints": {}},
    },
}  # fmt: skip


def state(document: dict[str, Any] | None = DOCUMENT, **lock: Any) -> State:
    told = {"id": "pr-17-123456", "key": REQUEST.key, "url": "https://ci/1", "head": "abcdef0123456789", **lock}
    return State(REQUEST, "pr-17-123456", Lock(**told), document)


def test_all_that_a_reviewer_wants_to_know() -> None:
    text = markdown(state())
    assert text.startswith("<!-- envctl preview github.com/o/r#17 pr-17-123456 -->\n### Preview `pr-17`: up\n")
    assert "| web | api | seeded | https://web.previews.test |" in text
    assert "| db | post\\|gres | seeded |  |" in text
    assert "ENVCTL_ENGINE=kubernetes envctl env pr-17-123456" in text
    assert "Head `abcdef012345` · [run](https://ci/1) · until 2026-05-01T12:00:00Z" in text


def test_a_url_that_does_not_answer_is_shown_and_marked() -> None:
    web = {**DOCUMENT["services"]["web"], "public_fault": "DNS does not resolve `web` here"}
    text = markdown(state({**DOCUMENT, "services": {"web": web}}))
    assert "| https://web.previews.test (does not answer yet: DNS does not resolve \\`web\\` here) |" in text


def test_the_marker_is_the_same_whatever_has_happened() -> None:
    found = {marker(each) for each in (state(), state(None), state(error="x"), state(closed=True))}
    assert len(found) == 1


def test_a_failure_has_its_secrets_masked_and_stays_text() -> None:
    text = markdown(state(error="password s3cretlong and s3cret\n```\n</details> @everybody\n````"))
    assert "s3cret" not in text
    assert "password *** and ***" in text
    assert "\n`````text\n" in text, "more backticks than the failure has itself"
    assert "### Preview `pr-17`: failed" in text


def test_of_a_long_failure_the_end_is_shown() -> None:
    text = markdown(state(error="x" * 100_000 + "the end"))
    assert "the end" in text
    assert len(text) < 65_536, "GitHub takes no more"


def test_one_that_is_gone_shows_no_services() -> None:
    text = markdown(state(None, closed=True))
    assert ": closed" in text
    assert "| Service" not in text


def test_while_it_is_changed() -> None:
    assert ": changing" in markdown(state(holder="x", renewed=time.time()))
    assert ": closing" in markdown(state(holder="x", renewed=time.time(), closed=True))


def test_an_address_that_is_no_link_is_not_made_one() -> None:
    assert "javascript" not in markdown(state(url="javascript:alert(1)"))
