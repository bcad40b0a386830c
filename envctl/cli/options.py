"""Options that `up`, `run` and `test` share. Each is also an environment variable ENVCTL_<OPTION> and a key in envctl.toml."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envctl.cli.arguments import duration
from envctl.cli.completion import ENGINES, SERVICES
from envctl.errors import UsageError
from envctl.lifecycle.options import DEFAULT_TIMEOUT, UpOptions
from envctl.plan.transforms import Selection
from envctl.plan.transforms.lanes import lanes_of
from envctl.session import Session

if TYPE_CHECKING:
    from envctl.plan.model import Setting
    from envctl.render.kubernetes import Options as ClusterOptions


def _option(help: str, *names: str, env: str = "", metavar: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, help=help, envvar=f"ENVCTL_{env}" if env else None, show_default=False, metavar=metavar, **more)


Many = list[str]


@dataclass(frozen=True)
class Chosen:
    """Options that select and change parts of the definition. `render` has them too."""

    name: Annotated[str | None, _option("The instance's name (default: the environment's).", env="NAME", metavar="N")] = None
    key: Annotated[
        str | None,
        _option("Identify the instance by this text, not by folder, user and machine: `owner/repo#17`.", env="KEY", metavar="TEXT"),
    ] = None
    set: Annotated[Many, _option("Set a variable of the definition (repeatable).", "--set", metavar="K=V")] = field(default_factory=list)
    only: Annotated[
        Many, _option("Bring up only service S and what it needs (repeatable).", env="ONLY", metavar="S", autocompletion=SERVICES)
    ] = field(default_factory=list)
    stub: Annotated[Many, _option("Replace service S with a stub (repeatable).", env="STUB", metavar="S", autocompletion=SERVICES)] = field(
        default_factory=list
    )
    use: Annotated[Many, _option("Use the server at URL instead of service S (repeatable).", env="USE", metavar="S=URL")] = field(
        default_factory=list
    )
    port: Annotated[Many, _option("Give service S the local port N (repeatable).", env="PORT", metavar="S=N")] = field(default_factory=list)
    image: Annotated[Many, _option("Use this image for service S, instead of building one (repeatable).", env="IMAGE", metavar="S=REF")] = (
        field(default_factory=list)
    )


UNTRUSTED = "The definition is a stranger's: refuse everything it would do on this machine."


@dataclass(frozen=True)
class Running(Chosen):
    """Options on how the environment is brought up."""

    local: Annotated[
        Many,
        _option("Run service S from source, as a process of this machine (repeatable).", env="LOCAL", metavar="S", autocompletion=SERVICES),
    ] = field(default_factory=list)
    engine: Annotated[
        str | None,
        _option(
            "docker, kubernetes or local (default: docker if it answers, otherwise local).",
            env="ENGINE",
            metavar="E",
            autocompletion=ENGINES,
        ),
    ] = None
    context: Annotated[str | None, _option("A context of Docker or of the kubeconfig.", env="CONTEXT", metavar="C")] = None
    namespace: Annotated[
        str | None, _option("Use this existing Kubernetes namespace instead of a new one.", env="NAMESPACE", metavar="NS")
    ] = None
    registry: Annotated[
        str | None, _option("For a cluster: the registry to which built images are pushed.", env="REGISTRY", metavar="R")
    ] = None
    lanes: Annotated[
        str | None,
        _option(
            "Make N lanes: each parallel test worker gets its own data and services; `auto`: one for each core.", env="LANES", metavar="N"
        ),
    ] = None
    image_names: Annotated[
        bool,
        _option(
            "Give built images the names from the definition, instead of names that begin with envctl/.", "--image-names", env="IMAGE_NAMES"
        ),
    ] = False
    untrusted: Annotated[bool, _option(UNTRUSTED, "--untrusted", env="UNTRUSTED")] = False
    ttl: Annotated[str | None, _option("Remove the instance after this time: 30m, 2h, 1d.", env="TTL", metavar="D")] = None
    timeout: Annotated[str | None, _option("Deadline for the whole command (default: 10m).", env="TIMEOUT", metavar="D")] = None
    fresh: Annotated[bool, _option("Start with empty data.", "--fresh", env="FRESH")] = False
    no_snapshots: Annotated[
        bool, _option("Neither use nor create snapshots: create all data again.", "--no-snapshots", env="NO_SNAPSHOTS")
    ] = False
    keep: Annotated[bool, _option("Leave the instance up after a failure.", "--keep", env="KEEP")] = False


def up_options(environment: str, options: Running, report: str | None = None) -> UpOptions:
    """Return *options* in the form that `up` takes.

    Raises:
        UsageError: the value of an option is malformed.
    """
    return UpOptions(
        environment=environment,
        name=options.name,
        key=options.key,
        engine=options.engine,
        context=options.context,
        namespace=options.namespace,
        registry=options.registry,
        image_names=options.image_names,
        untrusted=options.untrusted,
        set=pairs("--set", options.set, "K=V"),
        only=tuple(options.only),
        stub=tuple(options.stub),
        use=pairs("--use", options.use, "S=URL"),
        image=pairs("--image", options.image, "S=REF"),
        ports=ports(options),
        local=tuple(options.local),
        lanes=lanes_of(options.lanes, os.cpu_count() or 1),
        ttl=_ttl(options.ttl),
        timeout=duration("--timeout", options.timeout) or DEFAULT_TIMEOUT,
        fresh=options.fresh,
        keep=options.keep,
        no_snapshots=options.no_snapshots,
        report=report,
    )


def cluster_options(
    session: Session, setting: Setting, registry: str | None, namespace: str | None, existing_secret: str | None, untrusted: bool
) -> ClusterOptions:
    """Return the options for manifests that `kubectl apply` can use alone, with the cluster settings of envctl.toml."""
    from envctl.plan.addressing import dns_label
    from envctl.render.kubernetes import Options
    from envctl.render.kubernetes_settings import Cluster, for_strangers

    told = session.settings.table("kubernetes", Cluster)
    cluster = Cluster.of(for_strangers(told) if untrusted else told)
    place = namespace or dns_label(setting.id)
    return Options(standalone=True, namespace=place, registry=registry, existing_secret=existing_secret, cluster=cluster)


def _ttl(text: str | None) -> float | None:
    seconds = duration("--ttl", text)
    if seconds == 0:
        raise UsageError(f"--ttl {text}: not a lifetime", hint="write it like 2h; without --ttl, the `ttl:` of the definition applies")
    return seconds


def selection(options: Chosen) -> Selection:
    """Return the selection of services in *options*.

    Raises:
        UsageError: a value is not of the form `S=URL` or `S=REF`.
    """
    return Selection(
        only=tuple(options.only),
        stub=tuple(options.stub),
        use=pairs("--use", options.use, "S=URL"),
        image=pairs("--image", options.image, "S=REF"),
    )


def ports(options: Chosen) -> dict[str, int]:
    """Return the local port of each service in *options*.

    Raises:
        UsageError: a value is not of the form `S=N`, or N is not a port number.
    """
    return {name: _port(name, text) for name, text in pairs("--port", options.port, "S=N").items()}


def pairs(option: str, values: Sequence[str], form: str) -> dict[str, str]:
    """Return *values*, which are texts like `KEY=TEXT`, as a map.

    Raises:
        UsageError: a value of *option* has no `=` or no key; the message shows *form*.
    """
    found = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} {value}: not of the form {form}")
        found[key] = text
    return found


def _port(service: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError(f"--port {service}={text}: not a port number")
    return int(text)


def expanded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* with the fields of its `options` parameter as separate parameters, because Typer needs it that way."""
    own = inspect.signature(function, eval_str=True)
    kind = own.parameters["options"].annotation
    hints = inspect.get_annotations(kind, eval_str=True)
    for base in kind.__mro__[1:-1]:
        hints = {**inspect.get_annotations(base, eval_str=True), **hints}
    fields = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, annotation=hints[f.name], default=_default(f))
        for f in dataclasses.fields(kind)
    ]

    @functools.wraps(function)
    def wrapper(**given: Any) -> Any:
        options = kind(**{f.name: given.pop(f.name) for f in dataclasses.fields(kind)})
        return function(options=options, **given)

    others = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, p in own.parameters.items() if name != "options"]
    wrapper.__signature__ = inspect.Signature([*others, *fields])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*others, *fields]}
    return wrapper


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default is not dataclasses.MISSING else []
