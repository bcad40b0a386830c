"""Conversion of one service of a Compose file: its kind, ports and dependencies, and the settings that instances cannot share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from envctl.definition.compose_credentials import Given
from envctl.definition.compose_networks import only_internal
from envctl.definition.compose_programs import runs_server, with_dockerfile
from envctl.definition.compose_storage import own_volumes
from envctl.definition.dockerfile import Made, made_by
from envctl.definition.expressions import escape
from envctl.definition.models import expressible
from envctl.definition.source import map_texts

_CONDITIONS = {
    "service_started": "started",
    "service_healthy": "ready",
    "service_completed_successfully": "done",
}
_MANAGED = (
    *("container_name", "depends_on", "profiles", "build", "image", "environment", "env_file"),
    *("scale", "extends"),
)
_WELL_KNOWN = {80: "http", 443: "https", 22: "ssh", 25: "smtp"}
_LOCAL = re.compile(r"\b(?:localhost|127\.0\.0\.1|host\.docker\.internal):(\d+)\b")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_FOREIGN_NETWORKS = ("none", "service:", "container:")
_FIXED_ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips")


@dataclass(frozen=True)
class Recognised:
    """The kind of an image, and the places of its parameters in a Compose service. `compose_credentials.Given` explains places."""

    kind: str
    ports: Mapping[str, int]
    """The kind's ports, name to number; the first is the main one."""
    parameters: Mapping[str, Sequence[str]]
    """The places of each parameter."""
    several: Sequence[str] = ()
    """The parameters that are lists of items."""
    credentials: Sequence[str] = ()
    """The parameters that are credentials."""
    data: Sequence[str] = ()
    """The folders in which the image keeps data, and the places that name other such folders."""
    advertised: Sequence[str] = ()
    """Variables with the addresses to which the server redirects its clients."""
    server: bool = False
    """Whether a probe can find out that the server is ready, without any other service."""
    port: Sequence[str] = ()
    """The places of the main port."""
    loss: str = ""
    """What does not work with the image; empty if everything works."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that suit the image, whatever the Compose file says."""


Recogniser = Callable[[str], Recognised | None]


@dataclass
class Losses:
    """The differences from Compose: each sentence once, with all services to which it applies."""

    _about: dict[str, list[str]] = field(default_factory=dict)

    def add(self, service: str, text: str) -> None:
        """Record the difference *text* for *service*."""
        names = self._about.setdefault(text, [])
        if service not in names:
            names.append(service)

    def lines(self) -> list[str]:
        """Return one line for each difference, with the names of its services."""
        return [f"{', '.join(names)}: {text}" for text, names in self._about.items()]


@dataclass
class ComposeReading:
    """A Compose file during its conversion to services of envctl.

    Attributes:
        config: the file as Compose resolves it (`docker compose config`).
        recognise: returns the kind of an image; None if it is unknown.
        volumes: collects the volumes that an instance gets instead of folders of the project.
    """

    config: Mapping[str, Any]
    recognise: Recogniser
    project: Path
    environ: Mapping[str, str]
    losses: Losses = field(default_factory=Losses)
    volumes: dict[str, Any] = field(default_factory=dict)
    _dockerfiles: dict[str, Made] = field(default_factory=dict)

    def services(self) -> dict[str, dict[str, Any]]:
        """Return every service that runs, by name."""
        return {name: self._service(name, service) for name, service in self.config.get("services", {}).items() if self._runs(name)}

    def _runs(self, name: str) -> bool:
        off = _replicas(self.config["services"][name]) == 0
        if off:
            self.losses.add(name, "`replicas: 0`, so it is left out")
        return not off

    def _known(self, name: str) -> Recognised | None:
        service = self.config["services"][name]
        if str(service.get("network_mode", "")).startswith(_FOREIGN_NETWORKS):
            return None
        image = built.base if (built := self._built(name)) else service.get("image")
        return self.recognise(image) if image and self._own_kind(name) == "service" and self._runs_server(name) else None

    def _built(self, name: str) -> Made | None:
        """Return the image that the service's Dockerfile makes; None if the service has no build."""
        build = plain(self._build(self.config["services"][name]))
        if build and name not in self._dockerfiles:
            self._dockerfiles[name] = made_by(build, self.project)
        return self._dockerfiles.get(name)

    def _given(self, name: str, data: Sequence[str] = ()) -> Given:
        """Return the settings of the service, including those of its image's Dockerfile, if it has one."""
        service = self.config["services"][name]
        if built := self._built(name):
            service = with_dockerfile(service, built)
        unknown = (built.unknown if built else frozenset()) - set(service.get("environment") or {})
        return Given(service, self.config, self.project, self.environ, data, unknown)

    def _runs_server(self, name: str) -> bool:
        """Return whether the container runs the server of its image, rather than a client, a job, or a program that only waits."""
        return runs_server(list(self._given(name).programs()), built=self._built(name) is not None)

    def _service(self, name: str, service: Mapping[str, Any]) -> dict[str, Any]:
        known = self._known(name)
        tree: dict[str, Any] = {"kind": known.kind if known else self._own_kind(name)}
        tree |= {key: plain(value) for key, value in (("image", service.get("image")), ("build", self._build(service))) if value}
        tree["env"] = plain(service.get("environment", {}))
        tree["needs"] = dict(self._needs(service))
        tree["ports"] = self._ports(name, service, known)
        if known:
            tree["with"] = self._parameters(name, known)
            if known.loss:
                self.losses.add(name, known.loss)
        if (replicas := _replicas(service)) != 1:
            tree["replicas"] = replicas
        if "stop_grace_period" in service:
            tree["stop"] = service["stop_grace_period"]
        tree["compose"] = self._fragment(name, service, known)
        if tree["ports"] and only_internal(service.get("networks") or (), self.config.get("networks", {})):
            self.losses.add(name, "it is only in `internal` networks, which tests cannot reach, so it has no outputs")
        if not expressible(name):
            self.losses.add(name, "expressions cannot refer to it, but it has outputs")
        # A `${` that Compose has left in its output is literal text, not an expression of envctl.
        tree = map_texts(escape, {key: value for key, value in tree.items() if value not in ({}, [])})
        if env := self._with_own_ports(name, tree.get("env", {}), known, tree.get("ports", {})):
            tree["env"] = env
        return tree

    def _with_own_ports(self, name: str, env: dict[str, Any], known: Recognised | None, ports: Mapping[str, int]) -> dict[str, Any]:
        """Return *env* with the instance's own ports in advertised addresses; record a loss for each other fixed port of this machine."""
        advertised = known.advertised if known else ()
        targets = {str(port.get("published")): port["target"] for port in self.config["services"][name].get("ports", [])}
        names = {str(published): port for published, target in targets.items() for port, number in ports.items() if number == target}
        if advertised and names and not any(env.get(variable) for variable in advertised):
            given = f"`--port {name}={next(iter(names))}` gives it that one"
            self.losses.add(name, f"it redirects its clients to a fixed port of this machine; {given}")
        found = {}
        for variable, value in env.items():
            found[variable] = value
            if variable in advertised:
                found[variable] = _LOCAL.sub(lambda at: _outside(names[at[1]]) if at[1] in names else at[0], str(value))
            elif fixed := next((at for at in _LOCAL.finditer(str(value)) if at[1] in self._published), None):
                fix = f"`--port {self._published[fixed[1]]}={fixed[1]}` fixes it"
                self.losses.add(name, f"{variable} names {fixed[0]}, but every instance has its own ports; {fix}")
        return found

    @cached_property
    def _published(self) -> dict[str, str]:
        """The ports of this machine that the Compose file publishes, with the names of their services."""
        services = self.config["services"].items()
        ports = [(port, name) for name, service in services for port in service.get("ports", []) if port.get("published")]
        return {str(port["published"]): name for port, name in ports}

    def _build(self, service: Mapping[str, Any]) -> Any:
        """Return how the image is built, by the service itself or by another service with the same image; None if it is not built."""
        return service.get("build") or self._builds.get(service.get("image", ""))

    @cached_property
    def _builds(self) -> dict[str, Any]:
        services = self.config["services"].values()
        return {service["image"]: service["build"] for service in services if service.get("image") and service.get("build")}

    def _own_kind(self, name: str) -> str:
        """Return `job` if another service waits until this one has completed, otherwise `service`."""
        others = self.config["services"].values()
        conditions = [other["depends_on"][name].get("condition") for other in others if name in other.get("depends_on", {})]
        return "job" if "service_completed_successfully" in conditions else "service"

    def _needs(self, service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield each needed service with its condition.

        For a known server, `started` becomes `ready`, because a client that connects too early may exit.
        """
        for other, how in service.get("depends_on", {}).items():
            if other not in self.config["services"] or _replicas(self.config["services"][other]) == 0:
                continue  # an optional service may be left out because of its profile
            condition = _CONDITIONS.get(how.get("condition", ""), "started")
            known = self._known(other)
            yield other, "ready" if condition == "started" and known is not None and known.server else condition

    def _ports(self, name: str, service: Mapping[str, Any], known: Recognised | None) -> dict[str, int]:
        """Return the ports, name to number.

        A known server has its usual main port, unless its settings name another, or only other ports are published or exposed.
        """
        numbers = []
        for port in service.get("ports", []):
            if port.get("protocol", "tcp") == "tcp":
                numbers.append(int(port["target"]))
            else:
                self.losses.add(name, f"the {port['protocol']} port {port['target']} is not published")
        if known is None:
            return {port_name(number): number for number in dict.fromkeys(numbers)}
        names = {number: port for port, number in known.ports.items()}
        main, usual = next(iter(known.ports.items()))
        told = self._told_port(name, known, numbers)
        unusual = [int(told)] if _PORT.fullmatch(told) else [number for number in numbers or _exposed(service) if number not in names]
        if unusual and (_PORT.fullmatch(told) or usual not in numbers):
            names = {number: port for number, port in names.items() if port != main} | {unusual[0]: main}
            usual = unusual[0]
        return {names.get(number) or port_name(number): number for number in dict.fromkeys([usual, *numbers])}

    def _told_port(self, name: str, known: Recognised, published: Sequence[int]) -> str:
        """Return the main port that arguments or variables set, otherwise that of a configuration file; empty if none sets it.

        A configuration file may set several ports, so its port does not count if only other ports are published.
        """
        given = self._given(name, known.data)
        if told := given.first([place for place in known.port if not place.startswith("@")]):
            return told
        told = (given.first([place for place in known.port if place.startswith("@")]) or "").partition(" ")[0].rpartition(":")[2]
        return told if _PORT.fullmatch(told) and (not published or int(told) in published) else ""

    def _parameters(self, name: str, known: Recognised) -> dict[str, Any]:
        """Return the parameters that the Compose file sets. A credential that it does not set is empty, and not generated by envctl."""
        given = self._given(name, known.data)
        found: dict[str, Any] = {}
        for parameter, places in known.parameters.items():
            value = given.first(places)
            if value is not None:
                found[parameter] = [value] if parameter in known.several else value
            elif parameter in known.credentials:
                self._unread(name, parameter, given.unread)
            given.unread.clear()
        unsaid = [parameter for parameter in (*known.credentials, *known.parameters) if parameter not in known.several]
        return {**dict.fromkeys(unsaid, ""), **known.given, **found}

    def _unread(self, name: str, parameter: str, places: Sequence[str]) -> None:
        for place in places:
            told = f"the {parameter} of `{place}` cannot be read here, so its URL has no {parameter}"
            self.losses.add(name, f"{told}; `with: {{{parameter}: ...}}` gives it one")

    def _fragment(self, name: str, service: Mapping[str, Any], known: Recognised | None) -> dict[str, Any]:
        """Return the other settings of the Compose service, without those that each instance has of its own."""
        kept = {key: value for key, value in service.items() if key not in (*_MANAGED, "deploy")}
        if deploy := {key: value for key, value in service.get("deploy", {}).items() if key != "replicas" and value}:
            kept["deploy"] = deploy
        if str(mode := service.get("network_mode", "")).startswith(_FOREIGN_NETWORKS):
            self.losses.add(name, f"with `network_mode: {mode}` it has no address of its own, so it has no outputs")
        if mode == "host":
            del kept["network_mode"]
            self.losses.add(
                name,
                "`network_mode: host` is left out: it reaches others by their names, not at `localhost`; its `ports:` are published",
            )
        if networks := service.get("networks"):
            kept["networks"] = {network: self._unfixed(name, network, given) for network, given in networks.items()}
        if (kept.get("healthcheck") or {}).get("test") in (["NONE"], []):
            kept["healthcheck"] = {"disable": True}
        if "mac_address" in kept and any(map(self._is_of_others, service.get("networks") or ())):
            kept["mac_address"] = None
            self.losses.add(name, "`mac_address` is left out: two instances cannot have the same address")
        if alias := service.get("container_name"):
            self.losses.add(name, "`container_name` is left out; the name stays as a network alias")
            if "network_mode" not in kept:
                kept["networks"] = _aliased(kept.get("networks") or {"default": None}, alias)
        if volumes := service.get("volumes"):
            data = self._given(name, known.data if known else ()).data_folders()
            kept["volumes"] = own_volumes(name, volumes, data, self.project, self.volumes, self.losses.add)
        return {key: value for key, value in kept.items() if value is not None}

    def _unfixed(self, name: str, network: str, joined: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Return the settings of the service in *network*, without addresses that only one instance can have.

        A MAC address has to be unique within its network, so it is left out only if the network is external.
        """
        addresses = (*_FIXED_ADDRESSES, *(["mac_address"] if self._is_of_others(network) else []))
        fixed = [key for key in addresses if (joined or {}).get(key)]
        if fixed:
            self.losses.add(name, f"`{fixed[0]}` is left out: two instances cannot have the same address")
        return {key: value for key, value in (joined or {}).items() if key not in fixed} or None

    def _is_of_others(self, network: str) -> bool:
        return bool((self.config.get("networks", {}).get(network) or {}).get("external"))


def port_name(number: int) -> str:
    """Return the name of a port of a Compose file for which the kind has no name."""
    return _WELL_KNOWN.get(number) or f"p{number}"


def _outside(port: str) -> str:
    return f"${{self.outside.host}}:${{self.outside.ports.{port}}}"


def _exposed(service: Mapping[str, Any]) -> list[int]:
    return [int(found[0]) for port in service.get("expose", []) if (found := re.match(r"\d+", str(port)))]


def _replicas(service: Mapping[str, Any]) -> int:
    return int(service.get("deploy", {}).get("replicas", service.get("scale", 1)))


def _aliased(networks: Mapping[str, Any], alias: str) -> dict[str, Any]:
    return {name: {**(network or {}), "aliases": [*(network or {}).get("aliases", []), alias]} for name, network in networks.items()}


def plain(value: Any) -> Any:
    """Return *value* with each `$$` as `$`: Compose doubles a literal `$`, so that its output is a Compose file again."""
    return map_texts(lambda text: text.replace("$$", "$"), value)
