"""Tests of posting the comment on a pull request: there is only one, and a comment that a stranger could change is not reused."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from envctl.preview.github import GitHub
from tests.preview.github import Api


def test_two_first_comments_at_the_same_moment_become_one(api: Api) -> None:
    both, looks = threading.Barrier(2, timeout=30), itertools.count()
    api.looked = lambda: both.wait() if next(looks) < 2 else None
    github = GitHub(api.url, "o/r", "t")
    runs = [threading.Thread(target=github.comment, args=(17, "<!-- m -->", f"<!-- m -->{which}")) for which in "ab"]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [each["id"] for each in api.comments] == [1]


@pytest.mark.parametrize(
    ("author", "taken"),
    [
        ({"author_association": "CONTRIBUTOR", "user": {"type": "User"}}, False),
        ({"author_association": "NONE", "user": {"type": "Bot"}}, True),
        ({"author_association": "MEMBER", "user": {"type": "User"}}, True),
    ],
)
def test_a_comment_that_a_stranger_could_change_is_not_taken_for_ours(api: Api, author: dict[str, Any], taken: bool) -> None:
    api.comments.append({"id": 1, "body": "<!-- m -->", **author})
    GitHub(api.url, "o/r", "t").comment(17, "<!-- m -->", "<!-- m -->new")
    assert [each["body"] for each in api.comments] == (["<!-- m -->new"] if taken else ["<!-- m -->", "<!-- m -->new"])
