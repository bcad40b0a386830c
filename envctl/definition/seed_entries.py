"""The models of the data that envctl itself reads from a seed step or its file: requests, messages, columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, field_validator, model_validator

Scalar = str | int | float | bool
Headers = dict[str, Scalar]


class Entry(BaseModel):
    """The base of all entries: unknown keys are errors, and types are strict."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, strict=True)


class Bodied(Entry):
    """An entry with a body, which is given in one of three ways."""

    body: str | None = Field(None, description="The body as text.")
    json_: Any = Field(None, alias="json", description="The body as JSON.")
    base64: str | None = Field(None, description="The body as Base64: for bytes that are not text.")

    @model_validator(mode="after")
    def _one_body(self) -> Bodied:
        if len(given := sorted({"body", "json_", "base64"} & self.model_fields_set)) > 1:
            raise ValueError(f"{' and '.join(name.rstrip('_') for name in given)} are alternatives; give one of them")
        return self


class Request(Bodied):
    """One request of `http`."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] | None = Field(
        None, description="Default: POST if there is a body, otherwise GET."
    )
    path: str = Field(description="The path, with the query if there is one; host and port are those of the service.")
    headers: Headers = Field(default_factory=dict)
    expect: int | list[int] | None = Field(None, description="The status that it must answer, or several (default: any 2xx).")

    @field_validator("path")
    @classmethod
    def _from_the_host(cls, path: str) -> str:
        if not path.startswith(("/", "${")):
            raise ValueError(f"'{path}' is not a path of the service, such as `/orders`; host and port are known")
        return path


class AmqpMessage(Bodied):
    """A message to an exchange or a queue of RabbitMQ."""

    queue: str | None = Field(None, description="The queue it goes to.")
    exchange: str | None = Field(None, description="The exchange it goes to, with a `routing_key`.")
    routing_key: str = Field("", description="The routing key for the `exchange`.")
    virtual_host: str | None = Field(None, description="A virtual host other than the first.")
    headers: dict[str, Any] = Field(default_factory=dict)
    content_type: str | None = None

    @model_validator(mode="after")
    def _one_target(self) -> AmqpMessage:
        if (self.queue is None) == (self.exchange is None):
            raise ValueError("a message goes either to a `queue` or to an `exchange` (with a `routing_key`)")
        return self


class NatsMessage(Bodied):
    """A message to a subject of NATS."""

    subject: str = Field(min_length=1)
    headers: Headers = Field(default_factory=dict)
    jetstream: bool = Field(False, description="A stream must have accepted it.")

    @field_validator("subject")
    @classmethod
    def _one_subject(cls, value: str) -> str:
        """Reject wildcards, blanks and empty words: a server accepts such a subject, but no subscriber ever gets the message."""
        if any(part in ("", "*", ">") or re.search(r"\s", part) for part in value.split(".")):
            raise ValueError(f"'{value}' is not a subject that messages can be sent to: words separated by dots, such as `orders.made`")
        return value

    @field_validator("headers")
    @classmethod
    def _of_one_line(cls, value: Headers) -> Headers:
        if broken := next((name for name, text in value.items() if re.search(r"[\r\n]", f"{name}{text}")), None):
            raise ValueError(f"the header '{broken.strip()}' has a line break, after which another header would begin")
        return value


class KafkaMessage(Bodied):
    """A record for a topic of Kafka; without a body it is a tombstone."""

    topic: str = Field(min_length=1)
    key: Scalar | None = None
    partition: int | None = Field(None, ge=0)
    headers: Headers = Field(default_factory=dict)


class MqttMessage(Bodied):
    """A message to a topic of MQTT."""

    topic: str = Field(min_length=1, pattern=r"^[^+#]*$")
    qos: Literal[0, 1, 2] = 1
    retain: bool = Field(False, description="The broker keeps it for those who subscribe later.")


MOST = 1 << 20
"""The most characters, bytes, words or rows that one argument of a provider may request for one value."""
MOST_TOGETHER = 1 << 24
"""The largest product of arguments that multiply, such as a number of texts and their number of characters."""
_VALUES = frozenset([
    "date_end", "date_start", "datetime_end", "datetime_start", "elements", "end", "end_date", "end_datetime", "hue", "max", "max_value",
    "min", "min_value", "number", "seed", "start", "start_date", "start_datetime", "step",
])  # fmt: skip
"""Arguments whose numbers limit the values that are drawn, and do not make a value longer."""
_FACTORS = frozenset(["length", "max_nb_chars", "nb", "nb_elements", "nb_sentences", "nb_texts", "nb_words", "num_rows", "size"])


class Column(Entry):
    """How `generate` fills a column: with a provider of Faker and its arguments, values of another column, a count or one value."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    provider: str | None = Field(None, description="A provider of Faker; further keys are its arguments.")
    from_: str | None = Field(None, alias="from", description="`table.column`: one of the values in that column.")
    sequence: int | None = Field(None, description="Counts from this number.")
    value: Any = Field(None, description="The same in every row.")
    unique: bool = Field(False, description="No value occurs twice.")
    nulls: float = Field(0.0, ge=0, le=1, description="The fraction of the values that are NULL, from 0 to 1.")

    @field_validator("from_")
    @classmethod
    def _with_its_table(cls, value: str) -> str:
        if not all(value.rpartition(".")[::2]):
            raise ValueError(f"'{value}' is not a column of a table, such as `from: customers.id`")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Column:
        given = self.model_fields_set & {"provider", "from_", "sequence", "value"}
        if len(given) != 1:
            raise ValueError("a column has exactly one of `provider`, `from`, `sequence` and `value`")
        if self.model_extra and self.provider is None:
            raise ValueError(f"`{next(iter(self.model_extra))}` is an argument of a provider, but there is no provider")
        return self

    @model_validator(mode="after")
    def _of_some_length(self) -> Column:
        product = 1.0
        for name, number in _sizes("", self.model_extra or {}):
            if number > MOST:
                raise ValueError(f"`{name}: {number:,}` is too much for one value; at most {MOST:,}")
            product *= max(number, 1) if name in _FACTORS else 1
        if product > MOST_TOGETHER:
            raise ValueError(f"its arguments multiply to {product:,.0f}, too much for one value; at most {MOST_TOGETHER:,}")
        return self


def _sizes(name: str, value: object) -> Iterator[tuple[str, float]]:
    """Yield the numbers in a provider's arguments that may make a value long, each with the name of its argument."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _sizes(str(key), each) if key not in _VALUES else ()
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _sizes(name, each)
    elif isinstance(value, int | float):
        yield name, value


def _column(value: object) -> object:
    """Expand `name: first_name` to `name: {provider: first_name}`."""
    return {"provider": value} if isinstance(value, str) else value


class Generate(Entry):
    """A table of generated rows."""

    table: str = Field(min_length=1)
    count: int = Field(ge=0, le=100_000_000, description="How many rows.")
    columns: dict[str, Annotated[Column, BeforeValidator(_column)]] = Field(min_length=1, description="Column to provider.")
    random: int = Field(0, description="The seed of the random generator; another number gives other rows.")
    locale: str | list[str] = Field("en_US", description="The language of names, addresses and words.")


MESSAGES: Mapping[str, type[Bodied]] = {"amqp": AmqpMessage, "nats": NatsMessage, "kafka": KafkaMessage, "mqtt": MqttMessage}
"""The model of a message, by the dialect of `messages`."""
Table = list[Annotated[dict[str, Any], Field(min_length=1)]]
Keys = dict[str, Any]
_ONE_OR_MANY: Mapping[str, Any] = {"http": Request, "generate": Generate}


def inline_model(format: str, dialect: str, *, single: bool) -> TypeAdapter[Any]:
    """Return the type that inline data under the key *format* must have; with *single*, for one entry instead of a list.

    Args:
        dialect: the dialect of `messages`; not used for other formats.
    """
    entry = MESSAGES[dialect] if format == "messages" else _ONE_OR_MANY.get(format)
    if entry is not None:
        return TypeAdapter(entry if single else list[entry])  # type: ignore[valid-type]
    return TypeAdapter(Keys if format == "keys" else dict[str, Table] if single else Table)


def schema(format: str) -> dict[str, Any]:
    """Return the JSON Schema of the key *format*: a file, one entry, or a list of entries. `$comment` is a readable name of an entry."""
    if format == "generate":
        one = {**Generate.model_json_schema(), "$comment": "a table"}
        column = one.pop("$defs")["Column"]
        one["properties"]["columns"]["additionalProperties"] = {"anyOf": [{"type": "string"}, column]}
        return {"anyOf": [one, {"type": "array", "items": one}]}
    if format in ("rows", "keys"):
        inline = [{"type": "object"}, *([{"type": "array", "items": {"type": "object"}}] if format == "rows" else [])]
        return {"anyOf": [{"type": "string"}, *inline]}
    models: Sequence[type[Entry]] = list(MESSAGES.values()) if format == "messages" else [Request]
    entries = [{**model.model_json_schema(), "$comment": "a message" if format == "messages" else "a request"} for model in models]
    return {"anyOf": [{"type": "string"}, *entries, {"type": "array", "items": {"anyOf": entries}}]}
