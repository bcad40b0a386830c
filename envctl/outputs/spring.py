"""`application-test.properties` of Spring Boot: SPRING_DATASOURCE_URL becomes `spring.datasource.url`, other names stay unchanged.

Spring maps SPRING_DATASOURCE_URL to that property only in environment variables, never in a file.
"""

from __future__ import annotations

from collections.abc import Mapping

from envctl.outputs import properties


def text(values: Mapping[str, str]) -> str:
    """Return *values* as Spring properties, one on each line."""
    return properties.text({_name(key): _literal(value) for key, value in values.items()})


def _name(key: str) -> str:
    return key.lower().replace("_", ".") if key.startswith("SPRING_") else key


def _literal(value: str) -> str:
    """Return *value* with a backslash before each `${`, which Spring would resolve (Spring Framework 6.2 and later)."""
    return value.replace("${", "\\${")
