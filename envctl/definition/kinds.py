"""Kinds are data: `templates/kinds/NAME.yaml` -> Kind. A project's own `templates/kinds/` wins over ours."""

from __future__ import annotations

import filecmp
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from envctl.definition.budget import KEY, Budget
from envctl.definition.compose_services import Recognised, Recogniser
from envctl.definition.expressions import ExpressionError, evaluate, references
from envctl.definition.models import Model, Service
from envctl.definition.source import MAX_BYTES, Document, Source, merge, read, walk
from envctl.definition.validate import problems_of
from envctl.errors import DefinitionError, Problem, did_you_mean
from envctl.files.folders import FileRefused
from envctl.files.package_data import templates
from envctl.files.reading import read_file


class Several(Model):
    """What a server declares several of: databases, users, queues. `with: {databases: ...}` is a list or a map to options."""

    default: list[str] = Field(default_factory=list, description="Names where the definition gives none (expressions allowed).")
    options: dict[str, Any] = Field(default_factory=dict, description="JSON Schema properties of one item's options.")
    name: dict[str, Any] = Field(default_factory=dict, description="JSON Schema of a name, beyond that it is a text.")
    properties: dict[str, str] = Field(default_factory=dict, description="Expressions over `item` (its options and `name`) and `self`.")


class SeedFeed(Model):
    """How a seed format reaches the server: a command in its container that reads the data on standard input."""

    command: list[str] = Field(default_factory=list, description="Argument list; expressions see `self`, `step` and `columns`.")
    env: dict[str, str] = Field(default_factory=dict)
    dialect: str = Field(
        "",
        description="How the data is written: `sql`, `mysql-sql`, `postgres-csv` or `mysql-tsv`; for brokers and stores, their protocol.",
    )
    select: list[str] = Field(default_factory=list, description="Prints the values of `step.columns` of the table `step.into`, one a line.")


class Setup(Model):
    """A command in the container after the server is ready and before its seeds, once for each item of `each`."""

    each: str = Field("", description="A key of `several`.")
    when: str = Field("", description="A key of `several`: it runs once, and not at all where there is no item.")
    command: list[str]
    env: dict[str, str] = Field(default_factory=dict)
    stdin: str = Field("", description="A whole Jinja2 text.")
    again: int | None = Field(None, description="The exit status that says: the server does not answer yet.")


class UnitOf(Model):
    """How lanes and leases share one server: what each has of its own in it. Without `several` and `parameter`: it can only be emptied."""

    driver: str = Field(description="A module of envctl/units.")
    several: str = Field("", description="The key of `several` of which each lane has its own items.")
    parameter: str = Field("", description="The parameter, or property, that has another value in each lane.")
    name: str = Field("", description="An item's (or parameter's) value in a lane: an expression over `item`, `self` and `lane.number`.")
    template: str = Field(
        "",
        description="What keeps the seeded state: an expression over `item` and `self`. Without it, that is what was seeded itself: "
        "units are for lanes alone, and nobody uses what was seeded while there are any.",
    )
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="What else is another in each lane: expressions over `self`, `seeded` (the server as it is seeded), `lane.number`.",
    )
    configured: bool = Field(False, description="It stands in the server's configuration: one of a Compose file has its own, without it.")
    ahead: bool = Field(False, description="What is seeded is kept at every `up`, not only with lanes: a copy costs next to nothing.")
    longest: int = Field(63, description="Bytes that a name may have; a longer one is cut, and told apart by a hash.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters that the server needs for it.")
    losses: list[str] = Field(default_factory=list, description="What the lanes of one server share all the same.")


class Recognise(Model):
    """How a service of a Compose file is known to be of this kind, and where its parameters stand."""

    images: list[str] = Field(default_factory=list)
    losses: dict[str, str] = Field(default_factory=dict, description="An image of a relative, and what does not work with it.")
    ports: dict[str, dict[str, int]] = Field(default_factory=dict, description="An image to those of its ports that are not the kind's.")
    parameters: dict[str, list[str]] = Field(
        default_factory=dict,
        description="What sets a parameter: a variable (or the file of its `_FILE`), an `--argument`, `VARIABLE --argument`, "
        "`@setting` of a configuration file that an argument names, `?VARIABLE` that keeps it from us; `=x` is the default.",
    )
    port: list[str] = Field(default_factory=list, description="What sets the main port, where it is not the usual one; as for parameters.")
    data: list[str] = Field(default_factory=list, description="Folders with its images' data, besides the kind's own; or what names one.")
    advertised: list[str] = Field(default_factory=list, description="Variables that say where its clients are sent on to.")
    relies: bool = Field(False, description="What it answers may be for others to say, so that nobody waits for it unasked.")


class Program(Model):
    """Where a server's program may be found on this machine: one of these."""

    module: str = Field("", description="This Python itself, where that module is there.")
    package: str = Field("", description="A Python package that holds it ...")
    folder: str = Field("", description="... and its path in there.")
    script: str = Field("", description="A program that a Python package installs beside Python itself.")
    path: str = Field("", description="A program of PATH, or a pattern of absolute paths.")
    version: str = Field("", description="Its major version, where it is known; else the program is asked, or its path.")
    extra: bool = Field(False, description="It comes with envctl-testing[local].")
    arguments: list[str] = Field(default_factory=list, description="What it takes before the arguments of `command`.")
    loss: str = Field("", description="What is different with this one.")


class Missing(Model):
    """A file that must be there before anything starts: `each` is a parameter with a list, `file` may name its `item`."""

    each: str
    file: str = Field(description="Below the folder that holds the program's `bin`; a pattern.")
    message: str = Field(description="What is missing otherwise.")


class LocalProgram(Model):
    """A server's own program on this machine: where to look for it, and how it behaves."""

    programs: list[Program] = Field(default_factory=list, description="The first that is there, one of the wanted version before others.")
    version_of: list[str] = Field(
        default_factory=lambda: ["--version"], description="Arguments that make it print its version; without any, its path says it."
    )
    install: str = Field("", description="What to do where it is not there.")
    unprivileged: bool = Field(False, description="It refuses to run as root: root gives it another user.")
    stop_signal: str = Field("SIGTERM", description="What asks it to end.")
    losses: list[str] = Field(default_factory=list, description="What is different there.")


class Snapshot(Model):
    """How the data of a server is kept, and what gives a copy of it the passwords of another instance.

    The data of a twin that has been stopped becomes `folder` of an image, or a copy on this machine; twins draw their passwords and
    nobody is told them. Texts are expressions, as in the kind.
    """

    folder: str = Field("", description="Where the data lies in an image: outside of every VOLUME. Its last part is that of `data`.")
    worth: Literal["always", "seeded"] = Field("seeded", description="`always`: a first start without seeds is worth keeping, too.")
    consistent: list[Setup] = Field(default_factory=list, description="Commands in the twin before it is stopped.")
    env: dict[str, str] = Field(default_factory=dict, description="On top of the kind's own, so that the server finds the folder.")
    direct: bool = Field(
        False, description="The server is started without the image's entry point, which looks for data in one place only."
    )
    arguments: list[str] = Field(default_factory=list, description="Behind those of `command`.")
    files: dict[str, str] = Field(default_factory=dict, description="On top of the kind's own: what gives the data its passwords.")
    before: str = Field("", description="A shell script before the first start of a copy. It must end with 0.")


class Local(LocalProgram):
    """How the same server runs as a process of this machine: what is said here stands in the place of the kind's own key."""

    ports: list[str] = Field(default_factory=list, description="Ports for nobody but itself: `self.private.NAME` is the number of one.")
    template: list[str] = Field(default_factory=list, description="Fills `data`, once per version: later ones are copies.")
    first: list[Setup] = Field(default_factory=list, description="Commands right after the first start, tried until the server answers.")
    missing: list[Missing] = Field(default_factory=list)
    env: dict[str, str] | None = None
    command: list[str] | None = None
    files: dict[str, str] = Field(default_factory=dict, description="On top of the kind's own; an empty text takes one away.")
    mounts: dict[str, Any] | None = None
    data: str | None = None
    setup: list[Setup] | None = None
    seeds: dict[str, SeedFeed] | None = None
    query: list[str] | None = None
    shell: list[str] | None = None
    ready: dict[str, Any] | None = None
    snapshot: Snapshot | None = None

    @property
    def replaced(self) -> dict[str, Any]:
        own = ("env", "command", "mounts", "data", "setup", "seeds", "query", "shell", "ready", "snapshot")
        return {key: value for key in own if (value := getattr(self, key)) is not None}


class Sysctl(Model):
    name: str
    value: str


class Amount(Model):
    """What of the node's, as Kubernetes writes it."""

    cpu: str = ""
    memory: str = ""
    storage: str = ""


class Kubernetes(Model):
    """What a pod of the kind needs beside what a container needs anywhere."""

    user: int | None = Field(None, description="User and group id, where `user` of the kind is not it.")
    read_only: bool | None = Field(None, description="Its root is read-only; without it, where `writable` says what is not.")
    writable: list[str] = Field(default_factory=list, description="Paths that stay writable, on top of the kind's own.")
    init_copies: dict[str, str] = Field(default_factory=dict, description="Folder of the image to the writable path that it fills first.")
    probe: dict[str, Any] = Field(default_factory=dict, description="Kubernetes' own check (`httpGet`, `tcpSocket`); ports by name.")
    sysctls: list[Sysctl] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict, description="Variables that are set where nothing else sets them.")
    requests: Amount = Amount()
    limits: Amount = Amount()


class Kind(Model):
    """Everything about a kind that is not protocol code.

    Texts are expressions as in a definition, seen by `self` (this service inside the environment: every property, every
    parameter of `with`, and of `several` lists of items) and `instance`. `files` are whole Jinja2 texts: `{% for %}` works there.
    """

    kind: str
    also: list[str] = Field(default_factory=list, description="Other names.")
    title: str = ""
    description: str = ""
    extends: str | None = None
    image: str | None = Field(None, description="Without a tag: `version` is the tag.")
    version: str | None = None
    tag: str = Field("", description="The image's tag where it is not the version: an expression over `version` and `self`.")
    versions: list[str] = Field(default_factory=list, description="Major versions it is known to work with.")
    ports: dict[str, int] = Field(default_factory=dict, description="Name to number; the first is the main one.")
    outside_port: str = Field("", description="The port whose outside address is that of the main one (an advertised listener).")
    ports_when: dict[str, str] = Field(default_factory=dict, description="A port to the parameter that must be true for it.")
    user: int | None = Field(None, description="User and group id of the server.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="JSON Schema properties of `with`.")
    credentials: dict[str, Literal["username", "password"]] = Field(
        default_factory=dict, description="Parameters that are drawn at random where the definition does not give them."
    )
    nobody: str = Field("", description="Its username with an empty password, where a server cannot do without a name.")
    several: dict[str, Several] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    entrypoint: list[str] = Field(default_factory=list)
    command: list[str] = Field(default_factory=list)
    files: dict[str, str] = Field(default_factory=dict, description="Path inside to a Jinja2 text; an empty text makes no file.")
    mounts: dict[str, Any] = Field(
        default_factory=dict,
        description="Folder inside to project paths (an expression: one or a list), or to `envctl:FOLDER` of this package.",
    )
    data: str | None = Field(None, description="The data directory.")
    kept: bool | str = Field(True, description="Whether data outlives the server's process; or the parameter that says so.")
    writable: list[str] = Field(default_factory=list, description="Paths that stay writable on a read-only root.")
    ready: dict[str, Any] = Field(default_factory=dict, description="`probe: NAME` and its options.")
    slow: float = Field(1.0, description="How long it takes to get ready, beside most others: what takes longest is started first.")
    healthcheck: list[str] = Field(default_factory=list, description="The same check as a command in the image.")
    healthcheck_loss: str = Field("", description="Why there is none, for the loss report.")
    properties: dict[str, str] = Field(default_factory=dict, description="What references may name besides host, port and the parameters.")
    setup: list[Setup] = Field(default_factory=list)
    declare: dict[str, str] = Field(
        default_factory=dict,
        description="A key of `several` to the module of envctl/seeding/declaring that makes its items in a ready server.",
    )
    seeds: dict[str, SeedFeed] = Field(default_factory=dict)
    query: list[str] = Field(default_factory=list, description="Client command that runs `query` (a string) in the container.")
    shell: list[str] = Field(default_factory=list, description="The interactive client in the container.")
    shell_env: dict[str, str] = Field(default_factory=dict)
    own: bool = Field(False, description="The team's own code: it is stopped gently.")
    once: bool = Field(False, description="Runs once; `done` when it ends with 0.")
    losses: list[str] = Field(default_factory=list, description="What a user of this kind should know.")
    unit: UnitOf | None = Field(None, description="What a lane or a lease has of it; the server itself is shared then, but for `scope`.")
    scope: Literal["lane", "environment"] | None = Field(None, description="One per lane, or one for all of them.")
    recognise: Recognise = Recognise()
    local: Local | None = Field(None, description="As a process of this machine; without it, it only runs in a container.")
    kubernetes: Kubernetes = Kubernetes()
    snapshot: Snapshot | None = Field(None, description="How its data is kept for the next instance; without it, it is made each time.")

    @property
    def places(self) -> tuple[str, ...]:
        """The folders in which its images keep data, and the places that name others."""
        return (*([self.data] if self.data else []), *self.recognise.data)


def scope_of(service: Service, kind: Kind) -> Literal["lane", "environment"]:
    """Whether each lane has one of its own: what the service says, else its kind; else it is shared where lanes can have parts of it."""
    return service.scope or kind.scope or ("environment" if is_divided(kind) and can_divide(service, kind) else "lane")


def can_divide(service: Service, kind: Kind) -> bool:
    """Whether what its kind says of units holds for *service*, too."""
    return not (service.from_compose and kind.unit is not None and kind.unit.configured)


def is_divided(kind: Kind) -> bool:
    """Whether lanes can share one server of that kind, and each have its own part of it."""
    return kind.unit is not None and bool(kind.unit.several or kind.unit.parameter)


def load_kinds(project: Path | None = None) -> Kinds:
    """Every kind by its names; a file is read when its kind is asked for. The project's `templates/kinds/` wins."""
    own = sorted((project / "templates" / "kinds").glob("*.yaml")) if project else []
    files: dict[str, list[Path]] = {}
    for file in [*sorted(templates("kinds").glob("*.yaml")), *(file for file in own if not _shipped(file))]:
        files.setdefault(file.stem, []).insert(0, file)
    texts = {file: _text_of(file) for found in files.values() for file in found}
    also = {name: stem for stem, found in files.items() for file in found for name in _other_names(texts[file]) if name not in files}
    return Kinds(files, also, texts)


def _shipped(file: Path) -> bool:
    """In a clone of envctl the kinds that ship with it are none of the project's own, whatever envctl is installed."""
    ours = templates("kinds") / file.name
    with suppress(OSError):
        return filecmp.cmp(file, ours, shallow=False)
    return False


OURS = "envctl:"
"""A mounted folder that begins with this is a folder of this package."""
_ALSO = re.compile(r"^also:[ ]*\[([^\]\n]*)\]", re.MULTILINE)


def _text_of(file: Path) -> str:
    """What stands in it; nothing where it cannot be read, which whoever needs that kind says."""
    try:
        return read_file(file, file.parents[2], largest=MAX_BYTES).decode()
    except (FileRefused, OSError, UnicodeDecodeError):
        return ""


def _other_names(text: str) -> list[str]:
    """The names of `also: [...]`, without reading YAML: most files are never needed."""
    found = _ALSO.search(text)
    return [name.strip(" \"'") for name in found.group(1).split(",") if name.strip()] if found else []


@dataclass(frozen=True)
class Kinds(Mapping[str, Kind]):
    """Kind by name or other name.

    `kinds["x"]` raises KeyError where there is no such kind, and DefinitionError where its file is wrong.
    """

    files: Mapping[str, list[Path]]
    """Name to the files of that kind, the one that counts first."""
    also: Mapping[str, str]
    texts: Mapping[Path, str]
    """What stands in each file."""
    _read: dict[str, Kind | DefinitionError] = field(default_factory=dict, compare=False)

    def __getitem__(self, name: str) -> Kind:
        stem = self.also.get(name, name)
        if stem not in self._read:
            self._read[stem] = _kind_or_error(self.files[stem][0], self.files)
        found = self._read[stem]
        if isinstance(found, DefinitionError):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([*self.files, *self.also])

    def __len__(self) -> int:
        return len(self.files) + len(self.also)

    def __contains__(self, name: object) -> bool:
        return name in self.files or name in self.also

    def mentioning(self, word: str) -> Iterator[str]:
        """The kinds that may say something of *word*, without reading YAML; the project's own may spell it otherwise (`"\\x6E"`)."""
        ours = templates("kinds")
        for name, (file, *_) in self.files.items():
            if word in self.texts[file] or not file.is_relative_to(ours):
                yield name


def _kind_or_error(file: Path, files: Mapping[str, list[Path]]) -> Kind | DefinitionError:
    try:
        return _read_kind(file, files)
    except DefinitionError as error:
        return error


def _read_kind(file: Path, files: Mapping[str, list[Path]]) -> Kind:
    document = _inherited(file, files, ())
    data = document.tree or {}
    if data.get("kind", file.stem) != file.stem:
        problem = document.source.problem(("kind",), f"a kind must have the name of its file: '{file.stem}'")
        raise DefinitionError([problem])
    try:
        kind = Kind.model_validate({**data, "kind": file.stem})
    except ValidationError as error:
        raise DefinitionError([_known(p) for p in problems_of(error, data, (), document.source)]) from None
    ours = file.is_relative_to(templates("kinds"))  # those are read by the tests, which takes its time
    if problems := [] if ours else list(_texts_of(data, document.source)):
        raise DefinitionError(problems)
    return kind


def _inherited(file: Path, files: Mapping[str, list[Path]], chain: tuple[Path, ...]) -> Document:
    """The file's tree on top of that of the kind it extends."""
    document = read(file, file.parents[2], what="a kind")
    if document.tree is None or document.problems:
        raise DefinitionError(document.problems)
    if OURS in str(document.tree.get("mounts")) and not file.is_relative_to(templates("kinds")):
        message = f"`{OURS}` is for the kinds that ship with envctl"
        raise DefinitionError([document.source.problem(("mounts",), message, "name a folder of the project")])
    parent = document.tree.get("extends")
    if parent is None:
        return document
    if parent == file.stem:
        found = next((other for other in files[file.stem] if other not in (file, *chain)), None)
    else:
        found = files[parent][0] if isinstance(parent, str) and parent in files else None
    if found is None:
        hint = did_you_mean(str(parent), [name for name in files if name != file.stem])
        raise DefinitionError([document.source.problem(("extends",), f"there is no kind '{parent}' to extend", hint)])
    if found in (file, *chain):
        names = " -> ".join(one.stem for one in (*chain, file, found))
        raise DefinitionError([document.source.problem(("extends",), f"kinds extend each other: {names}")])
    base = _inherited(found, files, (*chain, file))
    own = {key: value for key, value in (base.tree or {}).items() if key not in ("kind", "also", "recognise")}
    return merge(Document(own, base.source), document)


def localised(kind: Kind) -> Kind:
    """*kind* as a process of this machine has it."""
    local = kind.local or Local()
    return kind.model_copy(update={**local.replaced, "files": kind.files | local.files, "entrypoint": []})


def recogniser(kinds: Kinds) -> Recogniser:
    """Knows the kind of an image by `recognise`; kinds whose files are wrong are left out."""

    def recognise(image: str) -> Recognised | None:
        path, has_registry = _repository(image)
        likely = (kind for name in kinds.mentioning(path.rpartition("/")[2]) if (kind := _usable(kinds, name)) is not None)
        return next((_recognised(kind, name) for kind in likely for name in kind.recognise.images if _is(name, path, has_registry)), None)

    return recognise


def _usable(kinds: Mapping[str, Kind], name: str) -> Kind | None:
    try:
        return kinds[name]
    except DefinitionError:
        return None


def _recognised(kind: Kind, image: str) -> Recognised:
    ports = kind.ports | kind.recognise.ports.get(image, {})
    known, data = kind.recognise, kind.places
    several, credentials = tuple(kind.several), tuple(kind.credentials)
    loss = known.losses.get(image, "")
    return Recognised(kind.kind, ports, known.parameters, several, credentials, data, known.advertised, not known.relies, known.port, loss)


def _repository(image: str) -> tuple[str, bool]:
    """Where an image is at its registry, and whether it names one."""
    repository = re.sub(r":[^/:]*$", "", image.partition("@")[0])
    first, slash, rest = repository.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return (rest if has_registry else repository).removeprefix("library/"), has_registry


def _is(name: str, path: str, has_registry: bool) -> bool:
    """Whether an image at *path* is the one called *name*, from Docker Hub or from a mirror of it."""
    return path == name or (has_registry and path.endswith("/" + name))


def _known(problem: Problem) -> Problem:
    """Unknown keys of a kind are answered with a kind's keys, not a definition's."""
    if not problem.message.startswith("unknown key") or "." in problem.path:
        return problem
    return Problem(problem.file, problem.line, problem.path, problem.message, did_you_mean(problem.path, list(Kind.model_fields)))


def _texts_of(data: Mapping[str, Any], source: Source) -> Iterator[Problem]:
    """Expressions that cannot be read; `files` are whole texts, which the plan reads."""
    for path, text in walk({key: value for key, value in data.items() if key not in ("files", "parameters")}):
        if isinstance(text, str) and "${" in text:
            try:
                references(text, ())
            except ExpressionError as error:
                yield source.problem(path, str(error))


def parameters_of(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of *kind*: as given, else its default, else None."""
    defaults = {name: schema.get("default") if isinstance(schema, dict) else None for name, schema in kind.parameters.items()}
    return {**defaults, **given}


def items_of(kind: Kind, key: str, given: Any, service: str, budget: Budget) -> dict[str, dict[str, Any]]:
    """What *given* declares several of: name to options, the defaults of options filled in.

    *given* is a name, a list of names (or of maps with a `name`), a map of name to options, or None for the kind's default.
    """
    several = kind.several[key]
    if given is None:
        given = [evaluate(name, {"self": {"name": service}, KEY: budget}) for name in several.default]
    defaults = {name: schema["default"] for name, schema in several.options.items() if "default" in schema}
    return {name: {**defaults, **options} for name, options in _items(given)}


def _items(given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(given, Mapping):
        for name, options in given.items():
            yield str(name), dict(options) if isinstance(options, Mapping) else {}
    elif isinstance(given, list | tuple):
        for item in given:
            options = dict(item) if isinstance(item, Mapping) else {"name": item}
            yield str(options.pop("name", "")), options
    else:
        yield str(given), {}
