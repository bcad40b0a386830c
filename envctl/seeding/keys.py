"""Load keys into Valkey and Redis: strings, hashes, lists, sets and sorted sets, with their time to live."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from envctl.definition.amounts import parse_duration
from envctl.definition.yaml_parser import written
from envctl.plan.model import Step
from envctl.seeding import BadFile, Endpoint, Seeder, failed
from envctl.seeding.item_files import items
from envctl.seeding.libraries import library

BATCH = 1000
"""The number of keys that are sent before their answers are read."""
Arguments = tuple[str | bytes, ...]


class Key(NamedTuple):
    """A key's place (file:line) and the commands that create the key."""

    where: str
    commands: tuple[Arguments, ...]


def load(step: Step, seeder: Seeder) -> None:
    redis = library("redis", step.service, "a `keys` seed")
    at = seeder.endpoint(step.service)
    try:
        with redis.Redis(
            host=at.host,
            port=at.port,
            username=at.properties.get("username") or None,
            password=at.properties.get("password") or None,
            db=_number(step, at),
            socket_timeout=60,
        ) as client:
            _send(client, _keys(step, seeder))
    except BadFile as error:
        raise failed(step, error.where(step.files[0]) if step.files else step.where, str(error)) from None
    except redis.RedisError as error:
        raise failed(step, step.where, str(error)) from None


def _number(step: Step, at: Endpoint) -> int:
    """Return the database number of the step, or by default the one in the service's URL. Raise BadFile if it is not a number."""
    try:
        return int(step.step.database or at.properties.get("database") or 0)
    except ValueError:
        raise BadFile(f"`database: {step.step.database}`: a database of keys is a number", place=step.where) from None


def _send(client: Any, keys: Iterator[Key]) -> None:
    """Send the commands in batches. Raise BadFile with the place of the first key that the server refuses."""
    sent: list[str] = []
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            for command in key.commands:
                pipe.execute_command(*command)
                sent.append(key.where)
            if len(sent) >= BATCH:
                _check(sent, pipe.execute(raise_on_error=False))
                sent.clear()
        _check(sent, pipe.execute(raise_on_error=False))


def _check(sent: list[str], answers: list[Any]) -> None:
    for where, answer in zip(sent, answers, strict=True):
        if isinstance(answer, Exception):
            raise BadFile(str(answer), place=where)


def _keys(step: Step, seeder: Seeder) -> Iterator[Key]:
    for where, name, value in items(step, seeder.plan.setting.project, spread=False):
        entries = {name: value} if name is not None else value
        if not isinstance(entries, dict):
            raise BadFile("an entry is a map of keys to values", place=where)
        for key, content in entries.items():
            try:
                yield Key(where, tuple(_commands(key, content)))
            except ValueError as error:
                raise BadFile(f"'{key}': {error}", place=where) from None


def _commands(key: str, value: Any) -> Iterator[Arguments]:
    """Yield the commands that create *key*, or replace it if it exists."""
    kind, content, ttl = _typed(value)
    milliseconds = () if ttl is None else ("PX", _milliseconds(ttl))
    if kind == "string":
        yield ("SET", key, _text(content), *milliseconds)
        return
    yield ("DEL", key)
    yield (COMMANDS[kind], key, *PARTS[kind](content))
    if milliseconds:
        yield ("PEXPIRE", key, milliseconds[1])


def _milliseconds(ttl: Any) -> str:
    if not (seconds := parse_duration(ttl)):
        raise ValueError("with a `ttl` of 0 the key would expire at once; leave out the `ttl` or the key")
    return str(max(1, round(seconds * 1000)))


def _typed(value: Any) -> tuple[str, Any, Any]:
    """Return a value's type, content and time to live: as in `{set: [a, b], ttl: 5m}`, or by default the type that the value implies."""
    if isinstance(value, dict):
        named = [key for key in TYPES if key in value]
        if len(named) == 1 and value.keys() <= {named[0], "ttl"}:
            return named[0], value[named[0]], value.get("ttl")
        return ("string" if value.keys() == {"$base64"} else "hash"), value, None
    return ("list" if isinstance(value, list) else "string"), value, None


def _text(value: Any) -> bytes:
    if isinstance(value, dict) and value.keys() == {"$base64"}:
        try:
            return base64.b64decode(str(value["$base64"]), validate=True)
        except binascii.Error as error:
            raise ValueError(f"`$base64`: {error}") from None
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False).encode()
    if value is None:
        raise ValueError('the value is missing; for an empty text write ""')
    return (written(value) if isinstance(value, int | float) else str(value)).encode()


def _list(content: Any) -> Iterator[str | bytes]:
    if not isinstance(content, list) or not content:
        raise ValueError("a list or a set has at least one item")
    yield from map(_text, content)


def _hash(content: Any) -> Iterator[str | bytes]:
    if not isinstance(content, dict) or not content:
        raise ValueError("a hash is a map with at least one field")
    for field, value in content.items():
        yield from (field.encode(), _text(value))


def _scores(content: Any) -> Iterator[str | bytes]:
    if not isinstance(content, dict) or not content:
        raise ValueError("a sorted set is a map of members to scores")
    for member, score in content.items():
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise ValueError(f"the score of '{member}' is not a number")
        yield from (written(score), member.encode())


COMMANDS: Mapping[str, str] = {"hash": "HSET", "list": "RPUSH", "set": "SADD", "sorted_set": "ZADD"}
PARTS: Mapping[str, Callable[[Any], Iterator[str | bytes]]] = {"hash": _hash, "list": _list, "set": _list, "sorted_set": _scores}
TYPES = ("string", *COMMANDS)
