"""`envctl` without arguments, and words that other tools use."""

from __future__ import annotations

import pytest

from envctl.cli.app import COMMANDS
from envctl.cli.app import GROUPS as WITH_COMMANDS
from envctl.cli.overview import GROUPS, LEADS, overview
from tests.support import command


def test_every_command_is_in_one_group() -> None:
    named = [name for group in GROUPS.values() for name in group]
    assert sorted(named) == sorted([*COMMANDS, *WITH_COMMANDS])


def test_nothing_is_cut_off_at_80_columns() -> None:
    assert max(map(len, overview())) <= 80
    for group in WITH_COMMANDS:
        listed = command([group, "--help"], env={"COLUMNS": "80"}).ok().out
        assert "..." not in listed.partition("Commands:")[2]


@pytest.mark.parametrize("words", [[], ["help"], ["--help"]])
def test_it_is_the_answer_to_nothing_and_to_help(words: list[str]) -> None:
    assert command(words).ok().out.splitlines() == list(overview())


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["test"], "envctl test [OPTIONS] ENV [TEST]..."),
        (["exec"], "envctl exec [OPTIONS] NAME S -- CMD..."),
        (["down"], "envctl down [OPTIONS] [NAME]"),
        (["preview", "up"], "envctl preview up [OPTIONS] ENV"),
    ],
)
def test_arguments_are_written_as_people_write_them(words: list[str], usage: str) -> None:
    said = command([*words, "--help"], env={"COLUMNS": "80"}).ok().out
    assert said.splitlines()[0] == f"Usage: {usage}"
    assert "<" not in said.partition("Arguments:")[2].partition("Options:")[0]


def test_help_of_a_command() -> None:
    assert command(["help", "preview", "down"]).ok().out.startswith("Usage: envctl preview down ")
    assert command(["help", "down"]).ok().out.startswith("Usage: envctl down ")


@pytest.mark.parametrize(
    ("word", "leads"), [("ps", "envctl status"), ("stop", "envctl down NAME"), ("start", "envctl up ENV"), ("lgos", "'logs'")]
)
def test_other_words_lead_to_the_right_command(word: str, leads: str) -> None:
    done = command([word, "shop"])
    assert (done.status, done.out) == (2, "")
    assert f"No such command '{word}'" in done.err
    assert leads in done.err


def test_no_word_that_leads_is_a_command() -> None:
    assert not set(LEADS) & set(COMMANDS)
