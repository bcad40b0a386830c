from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from envctl.plan.render_setting import drawn_from, key_of_name

NAMES = st.text(max_size=20)


@given(st.binary(min_size=1), NAMES, NAMES)
def test_a_credential_fits_everywhere(key: bytes, service: str, parameter: str) -> None:
    found = drawn_from(key)(service, parameter)
    assert re.fullmatch(r"[a-z][a-z0-9]{23}", found)
    assert found == drawn_from(key)(service, parameter)


def test_each_instance_service_and_parameter_has_its_own() -> None:
    wheres = [("a", "password"), ("a", "username"), ("b", "password"), ("ab", "c"), ("a", "bc")]
    found = [drawn_from(key)(*where) for key in (b"1", b"2") for where in wheres]
    assert len(set(found)) == len(found)


def test_a_name_gives_render_its_key() -> None:
    assert key_of_name("shop") == key_of_name("shop") != key_of_name("shop2")
