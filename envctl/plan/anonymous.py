"""Environments and settings without anything that belongs to one instance only.

Two environments whose plans are equal after that removal produce the same data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from envctl.definition.kinds import Kind
from envctl.definition.models import Service
from envctl.environment import Environment
from envctl.instance.allocation import Allocation
from envctl.plan.model import Setting
from envctl.plan.render_setting import drawn_from

NOBODY = "nobody"


def without_passwords(environment: Environment) -> Environment:
    """Return *environment* without the passwords of servers that can generate one, because kept data must not contain them."""
    services = {name: _drawing(service, environment.kinds[service.kind]) for name, service in environment.definition.services.items()}
    return replace(environment, definition=environment.definition.model_copy(update={"services": services}))


def _drawing(service: Service, kind: Kind) -> Service:
    if service.from_compose:  # the server of a Compose file gets what the file contains, in any case
        return service
    secret = {key for key, what in kind.credentials.items() if what == "password"}
    given = {key: _unnamed(value) if key in kind.several else value for key, value in service.with_.items() if key not in secret}
    return service.model_copy(update={"with_": given})


def _unnamed(items: Any) -> Any:
    if isinstance(items, Mapping):
        return {name: _public(options) for name, options in items.items()}
    return [_public(item) for item in items] if isinstance(items, list) else items


def _public(options: Any) -> Any:
    return {key: value for key, value in options.items() if key != "password"} if isinstance(options, Mapping) else options


def nobodys(setting: Setting) -> Setting:
    """Return *setting* with names, passwords and folders that are the same for every instance and every service, and without ports."""
    drawn = drawn_from(NOBODY.encode())
    return replace(
        setting, name=NOBODY, id=NOBODY, owner="", secret=lambda _, parameter: drawn(NOBODY, parameter), allocation=Allocation(),
        addresses=setting.engine.addresses, folder=Path("/", NOBODY),
    )  # fmt: skip
