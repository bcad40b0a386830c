from __future__ import annotations

from envctl.session.session import Mask


def test_secrets_are_hidden_the_longest_first() -> None:
    mask = Mask()
    mask.add(["secret", "secret word"])
    assert mask("a secret word, the secret") == "a ***, the ***"


def test_short_ones_would_be_in_every_word() -> None:
    mask = Mask()
    mask.add(["abc", "a", ""])
    assert mask("abc a") == "abc a"


def test_nothing_hidden_changes_nothing() -> None:
    assert Mask()("x") == "x"


def test_two_masks_know_nothing_of_each_other() -> None:
    one, other = Mask(), Mask()
    one.add(["secret"])
    assert other("secret") == "secret"
