"""Loading of kinds from `templates/kinds/NAME.yaml`. A project's own `templates/kinds/` overrides the kinds of envctl."""

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
    """Items of which a server can have several, such as databases. In `with:`, they are a list of names, or a map of names to options."""

    default: list[str] = Field(default_factory=list, description="The names if the definition gives none (expressions are allowed).")
    options: dict[str, Any] = Field(default_factory=dict, description="The options of an item, as properties of a JSON Schema.")
    name: dict[str, Any] = Field(default_factory=dict, description="A JSON Schema that further limits the name of an item.")
    properties: dict[str, str] = Field(
        default_factory=dict, description="The properties of an item: expressions over `item` (its options and `name`) and `self`."
    )


class SeedFeed(Model):
    """How a seed format reaches the server: a command in its container that reads the data on standard input."""

    command: list[str] = Field(default_factory=list, description="Argument list; expressions see `self`, `step` and `columns`.")
    env: dict[str, str] = Field(default_factory=dict)
    dialect: str = Field(
        "",
        description="The format of the data: `sql`, `mysql-sql`, `postgres-csv` or `mysql-tsv`; for brokers and stores, their protocol.",
    )
    select: list[str] = Field(
        default_factory=list, description="A command that prints the values of `step.columns` of the table `step.into`, one per line."
    )


class Setup(Model):
    """A command that runs in the container after the server is ready and before its seeds, once for each item of `each`."""

    each: str = Field("", description="A key of `several`.")
    when: str = Field("", description="A key of `several`: the command runs once, but not at all if there is no item.")
    command: list[str]
    env: dict[str, str] = Field(default_factory=dict)
    stdin: str = Field("", description="A Jinja2 template for its standard input.")
    again: int | None = Field(None, description="The exit status with which the command reports that the server does not answer yet.")


class UnitOf(Model):
    """How lanes and leases share one server, and which part each has for itself.

    Without `several` and `parameter`, the server can only be emptied.
    """

    driver: str = Field(description="A module of envctl/units.")
    several: str = Field("", description="The key of `several` whose items each lane has its own copies of.")
    parameter: str = Field("", description="The parameter, or property, that has a different value in each lane.")
    name: str = Field(
        "",
        description="The name of an item (or the value of the parameter) in a lane: an expression over `item`, `self` and `lane.number`.",
    )
    template: str = Field(
        "",
        description="The name of the unit that keeps the seeded state: an expression over `item` and "
        "`self`. Without it, the seeded item itself "
        "keeps it; then only lanes have units, and nobody uses that item while there are any.",
    )
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="Properties that differ in each lane: expressions over `self`, `seeded` (the seeded server), `lane.number`.",
    )
    configured: bool = Field(
        False, description="Units are part of the server's configuration, so a server of a Compose file, which has its own, has none."
    )
    ahead: bool = Field(False, description="Every `up` keeps the seeded state, not only with lanes, because a copy costs next to nothing.")
    longest: int = Field(63, description="The most bytes that a name may have; a longer one is shortened, with a hash at its end.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters of the server that units require.")
    losses: list[str] = Field(default_factory=list, description="What lanes still share in one server.")


class Recognise(Model):
    """How to recognise that a service of a Compose file is of this kind, and where its parameters are."""

    images: list[str] = Field(default_factory=list)
    losses: dict[str, str] = Field(default_factory=dict, description="The image of a related server, to what does not work with it.")
    given: dict[str, dict[str, Any]] = Field(default_factory=dict, description="The image of a related server, to parameters that suit it.")
    ports: dict[str, dict[str, int]] = Field(default_factory=dict, description="An image to its ports that differ from the kind's.")
    parameters: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Where the value of a parameter is: a variable (or the file of its `_FILE`), an `--argument`, `VARIABLE --argument`, "
        "`@setting` of a configuration file that an argument names, `?VARIABLE` if it makes the value unknown; `=x` is the default.",
    )
    port: list[str] = Field(
        default_factory=list, description="Where the main port is set, if it is not the usual one; written as for parameters."
    )
    data: list[str] = Field(
        default_factory=list, description="Folders in which its images keep data, besides the kind's own; or where such a folder is named."
    )
    advertised: list[str] = Field(default_factory=list, description="Variables with the addresses to which it redirects clients.")
    relies: bool = Field(False, description="Its answers may depend on other services, so `up` waits for it only if it is told to.")


class Program(Model):
    """One place where a server's program may be on this machine."""

    module: str = Field("", description="The Python that runs envctl, if it has this module.")
    package: str = Field("", description="A Python package that contains the program, in `folder`.")
    folder: str = Field("", description="The path of the program in `package`.")
    script: str = Field("", description="A program that a Python package has installed beside Python.")
    path: str = Field("", description="A program on PATH, or a pattern of absolute paths.")
    version: str = Field("", description="Its major version, if it is known; otherwise the program, or its path, gives it.")
    extra: bool = Field(False, description="The extra `envctl-testing[local]` contains it.")
    arguments: list[str] = Field(default_factory=list, description="Arguments before those of `command`.")
    loss: str = Field("", description="How this program differs.")


class Missing(Model):
    """A file that must exist before anything starts, for each item of the parameter `each`; `file` may contain the `item`."""

    each: str
    file: str = Field(description="A pattern below the folder that contains the program's `bin`.")
    message: str = Field(description="The message if the file is missing.")


class LocalProgram(Model):
    """A server's own program on this machine: where to look for it, and how it behaves."""

    programs: list[Program] = Field(
        default_factory=list, description="The programs, in order of preference; one of the wanted version comes first."
    )
    version_of: list[str] = Field(
        default_factory=lambda: ["--version"], description="Arguments that make it print its version; without any, its path gives it."
    )
    install: str = Field("", description="How to install it.")
    unprivileged: bool = Field(
        False, description="It refuses to run as root; if envctl runs as root, it starts the program as another user."
    )
    stop_signal: str = Field("SIGTERM", description="The signal that stops it.")
    losses: list[str] = Field(default_factory=list, description="How the service differs on this machine.")


class Snapshot(Model):
    """How the data of a server is kept, and how a copy of it gets the passwords of another instance.

    The data of a stopped twin becomes `folder` of an image, or a copy on this machine. Twins have random passwords, which are never
    shown. Texts are expressions, as in the kind.
    """

    folder: str = Field("", description="The folder of the data in an image, outside every VOLUME. Its last part is that of `data`.")
    worth: Literal["always", "seeded"] = Field("seeded", description="`always`: the data is kept even without seeds.")
    consistent: list[Setup] = Field(default_factory=list, description="Commands that run in the twin before it is stopped.")
    env: dict[str, str] = Field(
        default_factory=dict, description="Variables in addition to the kind's own, so that the server finds the folder."
    )
    direct: bool = Field(False, description="Start the server without the image's entry point, which looks for data in one place only.")
    arguments: list[str] = Field(default_factory=list, description="Arguments after those of `command`.")
    files: dict[str, str] = Field(
        default_factory=dict, description="Files in addition to the kind's own, which set the passwords in the data."
    )
    before: str = Field("", description="A shell script that runs before the first start of a copy. It must exit with 0.")


class Local(LocalProgram):
    """How the same server runs as a process of this machine. A key given here replaces that of the kind."""

    ports: list[str] = Field(default_factory=list, description="Names of internal ports; `self.private.NAME` is the number of one.")
    template: list[str] = Field(
        default_factory=list, description="A command that fills `data`, once per version; later instances get copies."
    )
    first: list[Setup] = Field(
        default_factory=list, description="Commands right after the first start, which are repeated until the server answers."
    )
    missing: list[Missing] = Field(default_factory=list)
    env: dict[str, str] | None = None
    command: list[str] | None = None
    files: dict[str, str] = Field(default_factory=dict, description="Files in addition to the kind's own; an empty text removes one.")
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
        """The keys that are given here, and replace those of the kind, with their values."""
        own = ("env", "command", "mounts", "data", "setup", "seeds", "query", "shell", "ready", "snapshot")
        return {key: value for key in own if (value := getattr(self, key)) is not None}


class Sysctl(Model):
    name: str
    value: str


class Amount(Model):
    """Amounts of the node's resources, in the notation of Kubernetes."""

    cpu: str = ""
    memory: str = ""
    storage: str = ""


class Kubernetes(Model):
    """What a pod of the kind needs in addition to what any container of it needs."""

    user: int | None = Field(None, description="User and group id, if they differ from `user` of the kind.")
    read_only: bool | None = Field(None, description="Whether its root file system is read-only (default: if `writable` is given).")
    writable: list[str] = Field(default_factory=list, description="Paths that stay writable, in addition to the kind's own.")
    init_copies: dict[str, str] = Field(
        default_factory=dict, description="A folder of the image to the writable path that is filled with it first."
    )
    probe: dict[str, Any] = Field(default_factory=dict, description="Kubernetes' own check (`httpGet`, `tcpSocket`); ports by name.")
    sysctls: list[Sysctl] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict, description="Variables that are set unless something else sets them.")
    requests: Amount = Amount()
    limits: Amount = Amount()


class Kind(Model):
    """Everything about a kind that is not protocol code.

    Texts are expressions, as in a definition, over `self` (this service inside the environment: every property, every
    parameter of `with`, and a list of items for each key of `several`) and `instance`. `files` are Jinja2 templates with `{% for %}`.
    """

    kind: str
    also: list[str] = Field(default_factory=list, description="Other names.")
    title: str = ""
    description: str = ""
    extends: str | None = None
    image: str | None = Field(None, description="The image without its tag; `version` is the tag.")
    version: str | None = None
    tag: str = Field("", description="The image's tag if it is not the version: an expression over `version` and `self`.")
    versions: list[str] = Field(default_factory=list, description="Major versions that are known to work.")
    ports: dict[str, int] = Field(default_factory=dict, description="Name to number; the first is the main one.")
    outside_port: str = Field("", description="The port that is published instead of the main one (an advertised listener).")
    ports_when: dict[str, str] = Field(default_factory=dict, description="A port to the parameter that must be true for it to exist.")
    user: int | None = Field(None, description="User and group id of the server.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="The parameters of `with`, as properties of a JSON Schema.")
    credentials: dict[str, Literal["username", "password"]] = Field(
        default_factory=dict, description="Parameters that are random unless the definition sets them."
    )
    nobody: str = Field("", description="The user name if the password is empty, for a server that needs a name.")
    several: dict[str, Several] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    entrypoint: list[str] = Field(default_factory=list)
    command: list[str] = Field(default_factory=list)
    files: dict[str, str] = Field(
        default_factory=dict, description="A path in the container to a Jinja2 template; an empty result makes no file."
    )
    mounts: dict[str, Any] = Field(
        default_factory=dict,
        description="A folder in the container to project paths (an expression: one or a list), or to `envctl:FOLDER` of this package.",
    )
    data: str | None = Field(None, description="The data directory.")
    kept: bool | str = Field(True, description="Whether data survives the end of the server's process; or the parameter that decides this.")
    writable: list[str] = Field(default_factory=list, description="Paths that stay writable on a read-only root file system.")
    ready: dict[str, Any] = Field(default_factory=dict, description="`probe: NAME` and its options.")
    slow: float = Field(
        1.0, description="How long it takes to become ready, compared with most others: the slowest servers are started first."
    )
    healthcheck: list[str] = Field(default_factory=list, description="The same check as a command in the image.")
    healthcheck_loss: str = Field("", description="Why there is no such command; listed as not supported here.")
    properties: dict[str, str] = Field(
        default_factory=dict, description="Further properties for references, besides host, port and the parameters."
    )
    setup: list[Setup] = Field(default_factory=list)
    declare: dict[str, str] = Field(
        default_factory=dict,
        description="A key of `several` to the module of envctl/seeding/declaring that creates its items in a ready server.",
    )
    seeds: dict[str, SeedFeed] = Field(default_factory=dict)
    query: list[str] = Field(default_factory=list, description="The client command that runs `query` (a string) in the container.")
    shell: list[str] = Field(default_factory=list, description="The interactive client in the container.")
    shell_env: dict[str, str] = Field(default_factory=dict)
    own: bool = Field(False, description="It is the team's own code, so it is stopped gracefully.")
    once: bool = Field(False, description="It runs once, and is `done` when it exits with 0.")
    losses: list[str] = Field(default_factory=list, description="Notes for users of this kind.")
    unit: UnitOf | None = Field(
        None, description="What a lane or a lease has of it. The server itself is then shared, unless `scope` says otherwise."
    )
    scope: Literal["lane", "environment"] | None = Field(None, description="With lanes: one server for each lane, or one for all of them.")
    recognise: Recognise = Recognise()
    local: Local | None = Field(
        None, description="How it runs as a process of this machine; without this key, it only runs in a container."
    )
    kubernetes: Kubernetes = Kubernetes()
    snapshot: Snapshot | None = Field(
        None, description="How its data is kept for the next instance; without this key, it is made each time."
    )

    @property
    def places(self) -> tuple[str, ...]:
        """The folders in which the images keep data, and the places (see `compose_credentials.Given`) that name other such folders."""
        return (*([self.data] if self.data else []), *self.recognise.data)


def scope_of(service: Service, kind: Kind) -> Literal["lane", "environment"]:
    """Return `lane` if each lane has its own copy of *service*, or `environment` if all lanes share one.

    The service decides, otherwise its kind. If neither does, the service is shared if each lane can have a part of it.
    """
    return service.scope or kind.scope or ("environment" if is_divided(kind) and can_divide(service, kind) else "lane")


def can_divide(service: Service, kind: Kind) -> bool:
    """Return whether *service* can have the units that its kind describes.

    A service of a Compose file cannot if units are part of the server's configuration, because it has a configuration of its own.
    """
    return not (service.from_compose and kind.unit is not None and kind.unit.configured)


def is_divided(kind: Kind) -> bool:
    """Return whether lanes can share one server of *kind*, each with its own part of it."""
    return kind.unit is not None and bool(kind.unit.several or kind.unit.parameter)


def load_kinds(project: Path | None = None) -> Kinds:
    """Return every kind by its names. A kind's file is parsed on first use. The project's `templates/kinds/` overrides envctl's own."""
    own = sorted((project / "templates" / "kinds").glob("*.yaml")) if project else []
    files: dict[str, list[Path]] = {}
    for file in [*sorted(templates("kinds").glob("*.yaml")), *(file for file in own if not _shipped(file))]:
        files.setdefault(file.stem, []).insert(0, file)
    texts = {file: _text_of(file) for found in files.values() for file in found}
    also = {name: stem for stem, found in files.items() for file in found for name in _other_names(texts[file]) if name not in files}
    return Kinds(files, also, texts)


def _shipped(file: Path) -> bool:
    """Return whether *file* equals a kind that ships with envctl: in a clone of envctl, these are not kinds of the project."""
    ours = templates("kinds") / file.name
    with suppress(OSError):
        return filecmp.cmp(file, ours, shallow=False)
    return False


OURS = "envctl:"
"""The prefix of a mounted folder that belongs to this package."""
_ALSO = re.compile(r"^also:[ ]*\[([^\]\n]*)\]", re.MULTILINE)


def _text_of(file: Path) -> str:
    """Return the content of *file*; an empty text if it cannot be read, which is reported when the kind is used."""
    try:
        return read_file(file, file.parents[2], largest=MAX_BYTES).decode()
    except (FileRefused, OSError, UnicodeDecodeError):
        return ""


def _other_names(text: str) -> list[str]:
    """Return the names in `also: [...]`, without parsing the YAML, because most files are never needed."""
    found = _ALSO.search(text)
    return [name.strip(" \"'") for name in found.group(1).split(",") if name.strip()] if found else []


@dataclass(frozen=True)
class Kinds(Mapping[str, Kind]):
    """The kinds, by name and by other names.

    `kinds["x"]` raises KeyError if the kind does not exist, and DefinitionError if its file is wrong.
    """

    files: Mapping[str, list[Path]]
    """The files of each kind, by name; the first file is used."""
    also: Mapping[str, str]
    """The name of a kind, by each of its other names."""
    texts: Mapping[Path, str]
    """The content of each file."""
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
        """Yield the kinds whose files may contain *word*, without parsing YAML.

        Kinds of the project are always included, since they may write a letter as an escape (`"\\x6E"`).
        """
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
    ours = file.is_relative_to(templates("kinds"))  # the tests check envctl's own kinds, because a check here would slow down every command
    if problems := [] if ours else list(_texts_of(data, document.source)):
        raise DefinitionError(problems)
    return kind


def _inherited(file: Path, files: Mapping[str, list[Path]], chain: tuple[Path, ...]) -> Document:
    """Return the document of *file*, merged onto that of the kind that it extends."""
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
    """Return *kind* as it runs as a process of this machine."""
    local = kind.local or Local()
    return kind.model_copy(update={**local.replaced, "files": kind.files | local.files, "entrypoint": []})


def recogniser(kinds: Kinds) -> Recogniser:
    """Return a function that recognises the kind of an image by `recognise`. Kinds whose files are wrong are ignored."""

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
    suits = known.given.get(image, {})
    server = not known.relies
    return Recognised(kind.kind, ports, known.parameters, several, credentials, data, known.advertised, server, known.port, loss, suits)


def _repository(image: str) -> tuple[str, bool]:
    """Return the path of an image in its registry, and whether the image names a registry."""
    repository = re.sub(r":[^/:]*$", "", image.partition("@")[0])
    first, slash, rest = repository.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return (rest if has_registry else repository).removeprefix("library/"), has_registry


def _is(name: str, path: str, has_registry: bool) -> bool:
    """Return whether an image at *path* is the image *name*, from Docker Hub or from a mirror of it."""
    return path == name or (has_registry and path.endswith("/" + name))


def _known(problem: Problem) -> Problem:
    """Return *problem*; for an unknown top-level key, with a hint that lists the keys of a kind, not those of a definition."""
    if not problem.message.startswith("unknown key") or "." in problem.path:
        return problem
    return Problem(problem.file, problem.line, problem.path, problem.message, did_you_mean(problem.path, list(Kind.model_fields)))


def _texts_of(data: Mapping[str, Any], source: Source) -> Iterator[Problem]:
    """Yield a problem for each expression that cannot be parsed. `files` are whole templates, which the plan parses."""
    for path, text in walk({key: value for key, value in data.items() if key not in ("files", "parameters")}):
        if isinstance(text, str) and "${" in text:
            try:
                references(text, ())
            except ExpressionError as error:
                yield source.problem(path, str(error))


def parameters_of(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter of *kind*: its *given* value, otherwise its default, otherwise None."""
    defaults = {name: schema.get("default") if isinstance(schema, dict) else None for name, schema in kind.parameters.items()}
    return {**defaults, **given}


def items_of(kind: Kind, key: str, given: Any, service: str, budget: Budget) -> dict[str, dict[str, Any]]:
    """Return the items that *given* declares for *key* of `several`: name to options, with the defaults of options filled in.

    *given* is a name, a list of names (or of maps with a `name`), a map of name to options, or None for the kind's default.

    Raises:
        ExpressionError: the name of a default item cannot be evaluated.
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
