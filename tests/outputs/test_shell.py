from __future__ import annotations

import os
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from envctl.outputs.shell import text

KEYS = st.from_regex(r"V_[A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text("a '\"`\\$(){};&|<>*?~!#\n\t")


@settings(max_examples=40)
@given(st.dictionaries(KEYS, VALUES, min_size=1))
def test_a_shell_evaluates_it_to_the_same_bytes(values: dict[str, str]) -> None:
    done = subprocess.run(["sh", "-c", text(values) + "env -0"], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True)
    shown = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    assert {key: shown[key] for key in values} == values
