"""Tests of replacing a unit's name in properties."""

from __future__ import annotations

from envctl.instance.units import PLACEHOLDER, Unit


def test_the_properties_of_a_unit_have_its_name_wherever_it_stands() -> None:
    properties = {"url": f"postgresql://u:p@h:1/{PLACEHOLDER}", "port": 1, "databases": {"a": {"name": PLACEHOLDER}}, "all": [PLACEHOLDER]}
    found = Unit("postgres", properties=properties).properties_of("shop_7", "a")
    assert found == {"url": "postgresql://u:p@h:1/shop_7", "port": 1, "databases": {"a": {"name": "shop_7"}}, "all": ["shop_7"]}


def test_a_unit_is_a_copy_of_one_database_and_of_no_other() -> None:
    properties = {"databases": {"shop": {"name": PLACEHOLDER}, "audit": {"name": PLACEHOLDER}}}
    unit = Unit("postgres", properties=properties, several="databases")
    assert unit.properties_of("shop_7", "shop") == {"databases": {"shop": {"name": "shop_7"}}}
