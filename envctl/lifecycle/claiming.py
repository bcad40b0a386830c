"""Which instance an `up` works on: the one that is there, or a new one in its place. What was left half-way is removed first."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace

from envctl.definition.models import NAME
from envctl.engines import Engine
from envctl.environment import Environment
from envctl.errors import UsageError
from envctl.instance.identity import instance_id
from envctl.instance.processes import process_alive, process_mark
from envctl.instance.record import InstanceState, Location, Record
from envctl.instance.times import now
from envctl.lifecycle.down import clear, was_killed
from envctl.lifecycle.options import UpOptions
from envctl.session import Session


def instance_name(name: str) -> str:
    """*name*, which an instance may have.

    Raises:
        UsageError: it may not.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name", hint="letters, digits, - and _, at most 40, a letter or digit first")
    return name


def draft(session: Session, options: UpOptions, environment: Environment, owner: str) -> Record:
    """What the record is going to be, as far as can be told before anybody is asked; nothing is written.

    Raises:
        UsageError: the name is none, or the instance of that name is something else.
        UnreadableRecord: nobody can tell what the instance of that name is.
    """
    name = instance_name(options.name or environment.definition.name)
    id = instance_id(name, environment.loaded.project)
    found = session.store.load(id)
    location = options.location(session, found)
    current = found if found is not None and _goes_on(found, options) else _fresh(name, id, environment, location)
    choices = options.choices(session, environment.loaded.given)
    choices = replace(choices, registry=choices.registry or current.choices.registry, local=_local(options, location))
    ttl = options.ttl or environment.definition.ttl
    drafted = replace(
        current,
        choices=choices,
        file=str(environment.loaded.file),
        expires=now(ttl) if ttl else None,
        # The owner is a label, and a changed label recreates containers: an instance that is there keeps the one it has.
        owner=current.owner if current.was_up else owner,
    )
    if found is not None:
        _refuse(found, name, location, environment)
    return drafted


def _local(options: UpOptions, location: Location) -> tuple[str, ...]:
    """The services of `--local`, where that says more than the engine does."""
    from envctl.engines.registry import traits

    return () if traits(location.engine).runs_processes else tuple(options.local)


def _fresh(name: str, id: str, environment: Environment, location: Location) -> Record:
    return Record(
        name=name, id=id, environment=environment.definition.name, project=str(environment.loaded.project),
        file=str(environment.loaded.file), created=now(), secret=secrets.token_hex(32), **location._asdict(),
    )  # fmt: skip


def _goes_on(current: Record, options: UpOptions) -> bool:
    """Whether the instance that is there is kept: its data, its ports, its passwords."""
    return not (options.fresh or current.expired or current.owner or current.half_done)


def is_outdated(session: Session, options: UpOptions, drafted: Record) -> bool:
    """Whether somebody else has worked on the instance since it was drafted, so that it is another one now."""
    current = session.store.load(drafted.id)
    if drafted.was_up:
        return current is None or current.secret != drafted.secret
    return current is not None and _goes_on(current, options)


def claim(session: Session, engine: Engine, drafted: Record) -> Record:
    """The record on disk, with the mark of this process: for whoever holds the instance's lock, and has a draft that is not outdated."""
    current = session.store.load(drafted.id)
    if current is not None and drafted.was_up:
        return session.store.update(current, lambda record: _taken(_with(record, drafted), InstanceState.CHANGING))
    clear(session, engine, drafted.id, current.stop if current else {}, killed=current is not None and was_killed(current))
    return session.store.create(_taken(drafted, InstanceState.STARTING))


def _with(record: Record, drafted: Record) -> Record:
    return replace(record, choices=drafted.choices, file=drafted.file, expires=drafted.expires)


def _taken(record: Record, state: InstanceState) -> Record:
    return replace(record, state=state, process=process_mark(), error="")


def _refuse(current: Record, name: str, location: Location, environment: Environment) -> None:
    """Whatever is there under this name and is not to be touched by this command."""
    if current.name != name:
        raise UsageError(f"'{name}' and '{current.name}' would share the id {current.id}", hint="take another --name")
    if current.owner and process_alive(current.owner):
        raise UsageError(f"another `envctl run` or `test` is using {name}", hint="wait for it, or take another --name")
    if current.half_done or current.expired:
        return
    if current.location != location:
        where = ", ".join(filter(None, (current.context, current.namespace)))
        raise UsageError(
            f"{name} is up on {current.engine}{f' at {where}' if where else ''}",
            hint=f"`envctl down {name}` first, or take another --name",
        )
    if _is_another(current, environment):
        mine = environment.definition.name
        raise UsageError(
            f"{name} is an instance of the environment '{current.environment}' ({current.file}), not of '{mine}'",
            hint=f"take another --name, or `envctl down {name}` first",
        )


def _is_another(current: Record, environment: Environment) -> bool:
    """Whether it is another environment's: by its name, or by its file where that is still there."""
    if current.environment != environment.definition.name:
        return True
    return bool(current.file) and current.file != str(environment.loaded.file) and os.path.exists(current.file)
