"""Generate rows with Faker and load them as `rows` are loaded; the same random seed gives the same rows.

References draw from the rows that exist when the step runs: the first ten thousand values, in the server's order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from itertools import count
from typing import Any

from pydantic import TypeAdapter, ValidationError

from envctl.definition.seed_entries import Column, Generate
from envctl.engines import Execution
from envctl.errors import did_you_mean
from envctl.plan.model import Step, Table
from envctl.seeding import BadFile, Seeder, complaint, failed
from envctl.seeding.libraries import library
from envctl.seeding.rows import Row, load_rows

MOST_TRIES = 1000
"""The number of attempts to draw a value that is not used yet."""
NO_PROVIDERS = ("_", "seed", "add_provider")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
Draw = Callable[[], Any]


def load(step: Step, seeder: Seeder) -> None:
    try:
        wanted = TypeAdapter(list[Generate]).validate_python(step.inline)
    except ValidationError as error:  # an expression evaluated to a value of another type than the definition shows
        raise failed(step, step.where, str(error.errors()[0]["msg"])) from None
    faker = library("faker", step.service, "a `generate` seed")
    for table in wanted:
        there = {name: _there(step, seeder, column.from_) for name, column in table.columns.items() if column.from_}
        load_rows(step, seeder, partial(_rows, step, faker, table, there))


def _there(step: Step, seeder: Seeder, reference: str) -> list[str]:
    """Return the values of the column *reference* (`table.column`), in the server's order."""
    assert step.feed_for is not None
    table, _, column = reference.rpartition(".")
    feed = step.feed_for(Table(table, (column,)))
    ran = seeder.deployment.execute(step.service, Execution(feed.select, feed.env))
    if ran.status:
        raise failed(step, step.where, ran.output, ran.status, complaint(ran.output))
    if not (values := ran.output.splitlines()):
        raise failed(step, step.where, f"`from: {reference}`: that table has no rows; an earlier step must fill it")
    return values


def _rows(step: Step, faker: Any, table: Generate, there: Mapping[str, list[str]]) -> Iterator[Row]:
    try:
        fake = faker.Faker(table.locale)
    except (AttributeError, TypeError, ValueError) as error:
        raise BadFile(f"'{table.table}': {error}", place=step.where) from None
    fake.seed_instance(table.random)
    draws = {name: _draw(step, name, column, fake, there.get(name, [])) for name, column in table.columns.items()}
    for number in range(1, table.count + 1):
        try:
            yield Row(step.where, table.table, {name: draw() for name, draw in draws.items()})
        except Exception as error:  # a provider may raise any exception for wrong arguments
            message = f"row {number} of '{table.table}': {str(error).partition(chr(10))[0] or type(error).__name__}"
            raise BadFile(message, place=step.where) from None


def _draw(step: Step, name: str, column: Column, fake: Any, there: list[str]) -> Draw:
    """Return a function that draws the next value of a column."""
    draw: Draw
    if column.provider is not None:
        arguments = {key: _dated(value) for key, value in (column.model_extra or {}).items()}
        draw = partial(_provider(step, name, column.provider, fake), **arguments)
    elif column.from_ is not None:
        draw = partial(fake.random.choice, there)
    elif column.sequence is not None:
        draw = partial(next, count(column.sequence))
    else:
        draw = partial(lambda value: value, column.value)
    draw = partial(_unique, name, draw, set()) if column.unique else draw
    return partial(_or_null, draw, column.nulls, fake.random) if column.nulls else draw


def _dated(value: Any) -> Any:
    """Convert an ISO date to a `date`, which Faker expects; Faker itself reads relative dates such as `-1y`, counted from today."""
    return date.fromisoformat(value) if isinstance(value, str) and _DATE.fullmatch(value) else value


def _provider(step: Step, name: str, provider: str, fake: Any) -> Any:
    found = getattr(fake, provider, None) if not provider.startswith(NO_PROVIDERS) else None
    if not callable(found):
        known = [key for key in dir(fake.factories[0]) if not key.startswith(NO_PROVIDERS)]
        message = f"column '{name}': Faker has no provider '{provider}'; {did_you_mean(provider, known, limit=0)}"
        raise BadFile(message.removesuffix("; "), place=step.where)
    return found


def _unique(name: str, draw: Draw, drawn: set[str]) -> Any:
    for _ in range(MOST_TRIES):
        value = draw()
        if repr(value) not in drawn:
            drawn.add(repr(value))
            return value
    raise ValueError(f"column '{name}': after {len(drawn)} values there is no further unique one")


def _or_null(draw: Draw, part: float, random: Any) -> Any:
    return None if random.random() < part else draw()
