"""Explain why a service never became ready: what was tried, what it answered, where it listens instead, and what to do."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from envctl.definition.compose_networks import only_internal
from envctl.errors import ServiceFailed
from envctl.lifecycle.evidence import evidence_of
from envctl.plan.model import Plan, ServicePlan
from envctl.readiness import NotReady, Target
from envctl.render.compose import joined_networks

if TYPE_CHECKING:
    from envctl.lifecycle.bring_up import BringUp

ASKED_INSIDE = ("command", "health", "log")
"""The probes that do not connect to an address of this machine."""
EVERYWHERE = {"0.0.0.0", "::"}
_NO_PROGRAM = re.compile(
    r'exec: "(?P<executed>[^"]+)": (?:executable file not found|stat [^:]+: no such file)'
    r"|\b(?:sh|ash|bash):(?: line)?(?: \d+:)? (?P<in_shell>[\w./-]+): (?:command )?not found"
)
"""The error messages of container runtimes and of shells in images for a missing program."""
SLOW = "raise `ready: {timeout: ...}` if it is only slow"


def not_ready(work: BringUp, service: ServicePlan, targets: Sequence[tuple[str, Target]], error: NotReady, seconds: float) -> ServiceFailed:
    """Return the failure of a service that did not become ready within *seconds*."""
    asked = next((target for probe, target in targets if str(error).startswith(f"{probe}:") and probe not in ASKED_INSIDE), None)
    where = f" (asked at {asked.host}:{asked.port})" if asked else ""
    message = f"{service.name} did not get ready within {seconds:g} s: {error}{where}"
    process = work.plan.setting.runs_as_process(service.name)
    names = {name for name, number in asked.ports.items() if number == asked.port} if asked else set()
    wanted = [port.outside if process else port.number for port in service.ports if port.name in names or not names]
    advice = _of_answer(str(error)) or _of_health(service, str(error)) or (_of_networks(work.plan, service) if asked else "")
    advice = advice or _of_ports(_heard(work, service) if asked else None, [port for port in wanted if port], process)
    evidence = evidence_of(work, service, "readiness", advice=advice)
    return ServiceFailed(message, evidence._replace(logs=without_probes(evidence.logs, targets)))


def _of_answer(said: str) -> str:
    """Return advice for a service that answers, but not as expected; empty for other failures."""
    if found := re.search(r"GET (\S+) answered (\d+)", said):
        if found[2] == "404":
            return f"it has no {found[1]}: `ready: {{http: ...}}` names a path that answers with 2xx or 3xx"
        if found[2].startswith("5"):
            return f"it runs, and {found[1]} fails inside it: its log may say why"
        return f"`ready: {{http: {found[1]}, status: {found[2]}}}` accepts that answer; or name another path"
    if "no log line matches" in said:
        return "compare the expression of `ready: {log: ...}` with what the service prints"
    return ""


def _of_health(service: ServicePlan, said: str) -> str:
    """Return advice for a health check that does not pass; empty for other checks."""
    if not said.startswith("health:"):
        return ""
    if found := _NO_PROGRAM.search(said):
        program = found["executed"] or found["in_shell"]
        return f"its image has no `{program}`: use another program in the health check, or replace the check: `ready:` in a definition"
    if service.from_compose:
        return (
            "if it is only slow, `start_period:` or more `retries:` in its `healthcheck:` give it more time; otherwise check what it asks"
        )
    return ""


def _of_networks(plan: Plan, service: ServicePlan) -> str:
    """Return advice for a service that can be reached only from its own networks; empty for other services."""
    networks = list(dict.fromkeys([*(service.compose.get("networks") or ()), *(joined_networks(plan) or ["default"])]))
    if not only_internal(networks, plan.compose_extra.get("networks", {}), plan.setting.addresses.internal):
        return ""
    which = f"its network {networks[0]} is" if len(networks) == 1 else f"its networks {', '.join(networks)} are"
    other = "add a network that is not internal, e.g. `compose: {networks: {front: {}}}`, so that tests can reach it"
    return f"{which} `internal`, so its ports cannot be reached from here: {other}; `ready: {{command: ...}}` asks inside it"


def _heard(work: BringUp, service: ServicePlan) -> list[tuple[str, int]] | None:
    """Return the addresses where the service listens; None if they cannot be determined."""
    with suppress(Exception):
        return list(work.deployment.listening(service.name))
    return None


def heard_instead(work: BringUp, service: ServicePlan, said: str) -> str:
    """Explain where a service of a Compose file listens, if it does not answer on its published ports; *said* is the probe's message."""
    heard = _heard(work, service)
    wanted = [port.number for port in service.ports]
    if heard is None:
        return f"it does not answer on {' or '.join(map(str, wanted))}, and envctl cannot find out where it listens"
    if not heard:
        return "it listens on no port"
    at_wanted = [address for address in heard if address[1] in wanted]
    hosts = dict.fromkeys(host for host, _ in at_wanted)
    if EVERYWHERE & hosts.keys():
        why = said.removeprefix("tcp: ")
        why = why.removeprefix("it ") if why.startswith("it ") else f"cannot be reached from here: {why}"
        return f"it listens on {_numbers(at_wanted)}, and {why}"
    if at_wanted:
        return f"it listens on {' and '.join(hosts)} only, which cannot be reached from outside its container"
    return f"it listens on {_numbers(heard)}, not on {' or '.join(map(str, wanted))}"


def heard_elsewhere(work: BringUp, service: ServicePlan) -> str:
    """Explain where a service listens if it listens on none of its ports; empty for other services, or if it is unknown."""
    heard, wanted = _heard(work, service), [port.number for port in service.ports]
    if not heard or any(number in wanted for _, number in heard):
        return ""
    return f"it listens on {_numbers(heard)}, not on {' or '.join(map(str, wanted))}"


def _numbers(heard: Sequence[tuple[str, int]]) -> str:
    return " and ".join(dict.fromkeys(str(port) for _, port in heard))


def _of_ports(heard: Sequence[tuple[str, int]] | None, wanted: Collection[int], process: bool) -> str:
    if heard is None or not wanted:
        return SLOW
    if not heard:
        return f"it listens on no port yet; {SLOW}"
    at_wanted = [host for host, port in heard if port in wanted]
    if not at_wanted:
        other = "${self.port} in `run:` or `env:` is the port on which it should listen"
        return f"it listens on {_numbers(heard)}, not on {' or '.join(map(str, wanted))}: {other}" + (
            "" if process else f", or `port: {heard[0][1]}`"
        )
    if EVERYWHERE & {*at_wanted} or (process and "127.0.0.1" in at_wanted):
        return SLOW
    only = f"it listens on {' and '.join(dict.fromkeys(at_wanted))} only"
    where = "but envctl asks it at 127.0.0.1" if process else "which cannot be reached from outside its container"
    if not process and not all(ipaddress.ip_address(host).is_loopback for host in at_wanted):
        where = "but it has to listen on all addresses of its container"
    return f"{only}, {where}: ${{self.bind}} is the address on which it should listen"


def without_probes(lines: Sequence[str], targets: Sequence[tuple[str, Target]]) -> tuple[str, ...]:
    """Return the lines of a log without those about envctl's own requests, which would hide the rest."""
    paths = {str(target.options.get("path") or "/") for probe, target in targets if probe == "http"}
    ours = re.compile("|".join(rf"GET {re.escape(path)}(?=[\s\"']|$)" for path in sorted(paths))) if paths else None
    return tuple(line for line in lines if ours is None or not ours.search(line))
