"""`application-test.properties` of Spring Boot: SPRING_DATASOURCE_URL is `spring.datasource.url`, other names stay as they are.

Spring takes SPRING_DATASOURCE_URL for that property among variables of the environment only, never in a file.
"""

from __future__ import annotations

from collections.abc import Mapping

from envctl.outputs import properties


def text(values: Mapping[str, str]) -> str:
    return properties.text({_name(key): _literal(value) for key, value in values.items()})


def _name(key: str) -> str:
    return key.lower().replace("_", ".") if key.startswith("SPRING_") else key


def _literal(value: str) -> str:
    """Spring resolves `${...}` in values; a backslash before it keeps it (Spring Framework 6.2 and later)."""
    return value.replace("${", "\\${")
