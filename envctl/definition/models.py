"""The models of a definition: its keys, and the values that they accept. Other modules parse the text and resolve references."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from envctl.definition.amounts import parse_duration
from envctl.definition.expression_syntax import WORDS
from envctl.definition.yaml_parser import written
from envctl.files.packed import with_packed

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
RESERVED = ("var", "self", "env", "lane", "instance", "tester")
OURS = re.compile(r"envctl[-_]", re.IGNORECASE)
"""The prefix of envctl's own containers and objects. On a cluster, names are in lower case, with `-` instead of `_`."""

Condition = Literal["started", "ready", "seeded", "done", "none"]


def name_problem(name: str) -> tuple[str, str] | None:
    """Return a message and a hint if *name* is not valid for a service; otherwise None."""
    if name in RESERVED or name in WORDS:
        return f"'{name}' is reserved in expressions", "choose another name"
    if OURS.match(name):
        return f"'{name}' begins like envctl's own names", f"choose another name, e.g. '{name[7:] or 'server'}'"
    if not NAME.fullmatch(name):
        return f"'{name}' is not a valid name for a service", "letters, digits, - and _, at most 40, not beginning with - or _"
    return None


def expressible(name: str) -> bool:
    """Return whether an expression can refer to a service called *name*. Services of a Compose file may have names that Compose accepts."""
    return name not in RESERVED and name not in WORDS and "." not in name


def _name(value: str) -> str:
    if problem := name_problem(value):
        raise ValueError("; ".join(problem))
    return value


def _environment_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("a name has letters, digits, - and _, begins with a letter or digit, and has at most 40 characters")
    return value


def _text(value: object) -> object:
    """Return a number or boolean as it is written in the file: in YAML, an unquoted 17, 1.5 or true is not text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return written(value) if isinstance(value, int | float) else value


def _number(value: object) -> object:
    """Return *value*, but raise PydanticCustomError for a boolean, which Python accepts as a number."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "a number")
    return value


def _list(value: object) -> object:
    return value if isinstance(value, list) or value is None else [value]


def _needs(value: object) -> object:
    """Expand `needs: db` and `needs: [db, mail]` to a map, with the condition `ready`. `needs: {mail: started}` is a map already."""
    if isinstance(value, str):
        return {value: "ready"}
    if isinstance(value, list):
        return dict.fromkeys(value, "ready") if all(isinstance(item, str) for item in value) else value
    return value


def _test(value: object) -> object:
    """Expand `api: newman run x.json` to `api: {run: newman run x.json}`."""
    return {"run": value} if isinstance(value, str | list) else value


Name = Annotated[str, AfterValidator(_name)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
# The JSON Schema names the types that a file may contain, which are more than the type of the validated value.
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Duration = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema({"type": ["string", "number"], "examples": ["30s", "15m", "2h"]})
]
Command = str | list[Text]
Needs = Annotated[
    dict[str, Condition],
    BeforeValidator(_needs),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "object", "additionalProperties": {"enum": list(get_args(Condition))}},
            ]
        }
    ),
]
Texts = Annotated[
    list[str],
    BeforeValidator(_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Whole = Annotated[int, BeforeValidator(_number)]
Port = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_number)]


class Model(BaseModel):
    """The base of all models of a definition: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Variable(Model):
    """`name: {from: ENV_NAME, secret: true, default: x}`; a plain value is its default."""

    from_: str | None = Field(None, alias="from", description="The environment variable from which its value is read.")
    secret: bool = Field(False, description="Masked wherever envctl prints it.")
    default: Any = Field(None, description="Its value if nothing else sets one; a variable without a default is required.")
    description: str = ""


class Ready(Model):
    """Checks that must all pass: `http: /healthz`, `tcp: true`, `command: [...]`, `log: REGEX`, `query: SQL`."""

    http: str | None = Field(None, description="A path that must answer.")
    status: Whole | list[Whole] | None = Field(None, description="The expected status of `http` (default: any 2xx or 3xx).")
    port: Whole | str | None = Field(None, description="The port to ask, by name or number (default: the main one).")
    tcp: bool | None = Field(None, description="The port must accept a connection.")
    command: Command | None = Field(None, description="A program inside the service that must exit with 0.")
    log: str | None = Field(None, description="A regular expression (RE2) that a log line must match.")
    query: str | None = Field(None, description="A query that the server must answer (databases).")
    timeout: Duration = Field(60.0, description="How long `up` waits for it to become ready.")


class Build(Model):
    """The common keys of Compose's long form."""

    COMPOSE_KEYS: ClassVar[tuple[str, ...]] = (
        *("additional_contexts", "cache_from", "cache_to", "entitlements", "extra_hosts", "isolation", "labels"),
        *("network", "no_cache", "platforms", "privileged", "pull", "secrets", "shm_size", "ssh", "tags", "ulimits"),
    )
    """Further keys, which are passed to Compose unchanged."""

    model_config = ConfigDict(extra="allow", frozen=True)

    context: str = "."
    dockerfile: str | None = None
    dockerfile_inline: str | None = None
    target: str | None = None
    args: dict[str, Text | None] | list[str] = Field(default_factory=dict)


class FileFormat(NamedTuple):
    """The requirements for a file that a seed step of this format names."""

    in_folders: tuple[str, ...] = ()
    """The endings of file names, if the step may name a folder of such files."""
    header: bool = False
    """Whether the first line of the file names the columns."""
    whole_folders: bool = False
    """Whether the step may name a folder, which is used with everything below it."""
    into: str = ""
    """What `into` names; empty if the format does not accept `into`."""
    needs_into: bool = False


Inline = str | dict[str, Any] | list[Any] | None


class _Inline(NamedTuple):
    """The inline values that a format accepts. Their JSON Schema is made on demand, because it takes longer than all models."""

    format: str

    def __get_pydantic_json_schema__(self, _schema: object, _handler: object) -> dict[str, Any]:
        from envctl.definition import seed_entries  # imported here, because it would add a tenth to the import time of this module

        return seed_entries.schema(self.format)


class SeedStep(Model):
    """A step that loads data, with exactly one of the formats."""

    sql: str | None = Field(
        None, description="A file of SQL statements (also .gz, .zst), or a folder of such files, which run in the order of their names."
    )
    csv: str | None = Field(None, description="A CSV file with a header line (also .gz, .zst).")
    rows: Annotated[Inline, _Inline("rows")] = Field(
        None, description="Rows for each table: a YAML, JSON or JSONL file (also .gz, .zst), or the rows themselves."
    )
    restore: str | None = Field(None, description="An archive of pg_dump (a file or a folder), or a dump of mariadb-dump (also .gz, .zst).")
    generate: Annotated[Inline, _Inline("generate")] = Field(None, description="Rows that Faker generates, the same each time.")
    keys: Annotated[Inline, _Inline("keys")] = Field(
        None, description="Keys with their values: a YAML or JSON file, or the keys themselves."
    )
    messages: Annotated[Inline, _Inline("messages")] = Field(
        None, description="Messages for a broker: a YAML, JSON or JSONL file, or the messages themselves."
    )
    objects: str | None = Field(None, description="A file or folder to upload to a bucket.")
    http: Annotated[Inline, _Inline("http")] = Field(
        None, description="Requests to the service, or to `in`: a YAML, JSON, JSONL or .http file, or the requests themselves."
    )
    into: str | None = Field(None, description="The table for `csv`, or for `rows` that name no table; the bucket for `objects`.")
    prefix: str = Field("", description="A prefix for the names of `objects`.")
    content_types: dict[str, str] = Field(
        default_factory=dict, description="For `objects`: patterns of file names, with their content types."
    )
    owners: bool = Field(True, description="Whether `restore` keeps owners and rights; if not, everything belongs to the main user.")
    command: Command | None = Field(None, description="A program to run; `in` says where.")
    in_: str | None = Field(
        None,
        alias="in",
        description="Where a `command` runs: in a service's image, in the `server`, or on the `host` (this machine, the "
        "default). For `http`: the service that gets the requests.",
    )
    inputs: Texts = Field(default_factory=list, description="Globs of the files on which the result depends.")
    database: Text | None = Field(None, description="The database to use, if not the first.")
    needs: Needs = Field(default_factory=dict, description="What this step waits for, besides its own server.")

    FILES: ClassVar[Mapping[str, FileFormat]] = {
        "sql": FileFormat(in_folders=with_packed(".sql")),
        "csv": FileFormat(header=True, into="TABLE", needs_into=True),
        "rows": FileFormat(into="TABLE"),
        "restore": FileFormat(whole_folders=True),
        "keys": FileFormat(),
        "messages": FileFormat(),
        "objects": FileFormat(whole_folders=True, into="BUCKET", needs_into=True),
        "http": FileFormat(),
    }
    FORMATS: ClassVar[tuple[str, ...]] = (*FILES, "generate", "command")
    """The formats. Each is a key of the step, and a module of envctl/seeding."""
    OPTIONS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "prefix": ("objects",),
        "content_types": ("objects",),
        "owners": ("restore",),
        "into": tuple(name for name, format in FILES.items() if format.into),
    }
    """Keys that only some formats accept, with these formats."""

    @model_validator(mode="after")
    def _one_format(self) -> SeedStep:
        given = [name for name in SeedStep.FORMATS if getattr(self, name) is not None]
        if len(given) != 1:
            known, these = ", ".join(SeedStep.FORMATS), " and ".join(given) or "none"
            raise ValueError(f"a seed step has exactly one of {known}; this one has {these}")
        for key, formats in SeedStep.OPTIONS.items():
            if key in self.model_fields_set and self.format not in formats:
                raise ValueError(f"`{key}` goes with {' or '.join(f'`{name}`' for name in formats)}, not with `{self.format}`")
        form = SeedStep.FILES.get(self.format)
        if form is not None and form.needs_into and self.into is None:
            raise ValueError(f"`{self.format}` and `into` go together: {{{self.format}: FILE, into: {form.into}}}")
        if (isinstance(self.rows, list) and self.into is None) or (isinstance(self.rows, dict) and self.into is not None):
            raise ValueError("`rows` are a map of tables to lists of rows, or a list of rows and the table they go `into`")
        if self.format == "generate" and isinstance(self.generate, str):
            raise ValueError("`generate` is a map: {table: customers, count: 100, columns: {name: name}}")
        return self

    @property
    def format(self) -> str:
        """The format of the step, one of FORMATS."""
        return next(name for name in SeedStep.FORMATS if getattr(self, name) is not None)

    @property
    def file_format(self) -> FileFormat | None:
        """The requirements for the file that the step names; None if it names no file."""
        return SeedStep.FILES.get(self.format) if self.file is not None else None

    @property
    def file(self) -> str | None:
        """The file or folder that the step names; None for a command and for inline data."""
        named = getattr(self, self.format) if self.format in SeedStep.FILES else None
        return named if isinstance(named, str) else None

    @property
    def inline(self) -> Any:
        """The inline data of the step, with a single entry as a list of one; None if the step names a file or has a command."""
        given = getattr(self, self.format)
        if self.format == "command" or isinstance(given, str):
            return None
        single = isinstance(given, dict) and self.format not in ("rows", "keys")
        return [given] if single else given

    @property
    def runs_in(self) -> str | None:
        """The service in whose image the command runs, or `server` or `host`; None if the step does not say, or has no command."""
        return self.in_ if self.command is not None else None

    @property
    def waits_for(self) -> dict[str, Condition]:
        """The services for which this step waits, with their conditions."""
        asked: dict[str, Condition] = {self.in_: "ready"} if self.format == "http" and self.in_ else {}
        return {**asked, **self.needs}


_SIZE = r"^[0-9]+(\.[0-9]+)?([kKmMgG]i?)?[bB]?$"


class Requests(Model):
    cpu: Annotated[float, BeforeValidator(_number)] | None = Field(None, gt=0, description="A number of processors, e.g. 0.1.")
    memory: str | None = Field(None, pattern=_SIZE, description="An amount of memory, e.g. 64M.")
    storage: str | None = Field(None, pattern=_SIZE, description="On Kubernetes, an amount of the node's disk, e.g. 1G.")


class Resources(Requests):
    """The most that a service may use."""

    requests: Requests = Field(Requests(), description="What is reserved for it (default: the little that its kind needs).")


HOST = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
# A cluster refuses `..` and `//` in the path of an Ingress. Some controllers write the path into a configuration that all Ingresses of
# the cluster share, and the path of a preview may come from an untrusted author. So no character is allowed that is special there.
URL_PATH = r"^/(\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?)?$"


class Expose(Model):
    """How browsers reach the service."""

    port: Port | str | None = Field(None, description="A port, by name or number (default: the main one).")
    path: str = Field(
        "/", pattern=URL_PATH, description="The path under which it answers: letters, digits and `-._~`, with `/` between parts."
    )
    host: str | None = Field(
        None,
        pattern=HOST,
        max_length=253,
        description="Its host name, or the first label of its name in the domain (default: `<service>-<id>`).",
    )


class Service(Model):
    kind: str = Field("service", description="The type of the service.")
    version: Text | None = Field(None, description="The version of the server: the tag of its image.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="The parameters of the kind.")
    image: str | None = Field(
        None,
        description="An image to use instead of the kind's own; with `build` and `--image-names`, the name of the built image.",
    )
    build: str | Build | None = Field(None, description="A folder with a Dockerfile, or Compose's long form.")
    run: Command | None = Field(None, description="The program to start, without a shell.")
    command: Command | None = Field(None, description="Arguments for the image's entry point.")
    shell: bool = Field(False, description="Whether a shell runs the `run` line.")
    port: Port | None = Field(None, description="The main port.")
    ports: dict[str, Port] = Field(default_factory=dict, description="Ports by name, if there are several: name to number.")
    publish: Port | dict[str, Port] | None = Field(
        None, description="A fixed port on your machine for the main port, or for ports by name. Without it, envctl picks free ports."
    )
    ready: Ready | None = Field(None, description="When it is ready; replaces the kind's own check.")
    env: dict[str, Text | None] = Field(
        default_factory=dict,
        description="Environment variables. A reference such as `${db.url}` is an address inside the environment, and a dependency.",
    )
    env_file: Texts = Field(
        default_factory=list,
        description="Dotenv files; `env` overrides them. A name without a value takes its value from envctl's own environment.",
    )
    files: dict[str, str] = Field(
        default_factory=dict, description="Files for the service: a path inside it to a file or folder of the project."
    )
    needs: Needs = Field(default_factory=dict, description="What it waits for, besides the services to which it refers.")
    seed: list[SeedStep] = Field(default_factory=list, description="The steps that load its data, in this order.")
    replicas: Whole = Field(1, ge=1, le=100, description="How many copies run.")
    resources: Resources | None = Field(None, description="The most that it may use.")
    stop: Duration | None = Field(None, description="How long it may take to exit after SIGTERM.")
    scope: Literal["lane", "environment"] | None = Field(
        None, description="With lanes: one service for each lane, or one for the whole environment."
    )
    faults: bool | dict[str, Any] | None = Field(None, description="A proxy in front of it that injects faults.")
    expose: bool | Expose | None = Field(
        None,
        description="Gives it a URL for browsers, `public_url`: through an Ingress or an HTTPRoute "
        "on Kubernetes, through a proxy elsewhere.",
    )
    compose: dict[str, Any] = Field(default_factory=dict, description="Merged into the rendered Compose service.")
    kubernetes: dict[str, Any] | list[Any] = Field(default_factory=dict, description="Merged into the rendered objects.")
    from_compose: bool = Field(False, description="A Compose file describes it; nobody writes this into a definition.")


class Test(Model):
    run: Command = Field(
        description="The command. It runs in this file's folder, without a shell, with the outputs as environment variables."
    )
    reports: Texts = Field(default_factory=list, description="Globs of the reports that it writes; `--report` collects them.")
    only: Texts = Field(default_factory=list, description="The services that it needs (default: all).")


class Definition(Model):
    """A whole environment, with includes merged, and `var` and `env` expressions evaluated. References to services are still text."""

    name: EnvironmentName = Field(description="Letters, digits, - and _; at most 40 characters.")
    description: str = Field("", description="A text for readers of the file.")
    ttl: Duration | None = Field(None, description="The instance is removed after this time, whatever happens.")
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Variables, by name; a plain value is the default. `--set` changes them."
    )
    services: dict[Name, Service] = Field(default_factory=dict, description="The services, by name.")
    outputs: dict[str, Any] | None = Field(
        None, description="What tests receive, by name; maps and lists arrive as JSON (default: `<SERVICE>_<PROPERTY>` for every property)."
    )
    write: dict[str, str] = Field(default_factory=dict, description="Files with the outputs: path to format. `up` keeps them up to date.")
    tests: dict[str, Annotated[Test, BeforeValidator(_test)]] = Field(
        default_factory=dict, description="The commands of `envctl test`, by name."
    )
