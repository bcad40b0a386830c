"""ProjectFindings -> Proposal: servers, stand-ins for third parties, the project's own services, seeds, outputs, tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from envctl.init.model import Entry, Flow, Program, ProjectFindings, Proposal, Proposed, Runner, Scalar, Steps
from envctl.init.own import own_outputs, own_service, variables_of
from envctl.init.runners import from_folder
from envctl.init.seeds import seeds
from envctl.init.servers import DEFAULTS, Server, all_servers, servers
from envctl.init.third_parties import stub_service, thirds
from envctl.init.wiring import Wiring, is_secret, variable_key

UP = ".."
"""From `environments/` to the project's root."""


def propose(evidence: ProjectFindings, without: Collection[str] = ()) -> Proposal:
    """The environment that *evidence* suggests; *without* are names of services that the user does not want."""
    composed = {service.name for service in evidence.composed}
    programs = [program for program in _programs(evidence) if program.name not in without]
    evidence = replace(evidence, programs=tuple(programs))
    known = servers(evidence, without)
    names = {*composed, *(server.name for server in known.values()), *(program.name for program in programs)}
    found = tuple(thirds(evidence, known, names, without))
    wiring = Wiring(evidence, known, found, {*names, *(third.name for third in found)})
    services = [*all_servers(known), *map(stub_service, found), *_own(programs, wiring), *_overlays(wiring)]
    database, steps, notes = seeds(evidence, known, programs)
    return Proposal(
        name=evidence.name,
        compose=evidence.compose if evidence.composed else None,
        variables=tuple(_variables(wiring, programs)),
        services=tuple(_seeded(services, database, steps)),
        outputs=tuple(_outputs(wiring, programs)),
        tests=tuple(map(_test, evidence.runners)),
        notes=tuple(notes),
        files={third.routes: third.text for third in found},
    )


def _programs(evidence: ProjectFindings) -> Iterator[Program]:
    """Those that the Compose file does not build already, under names that it does not use."""
    built = {service.built for service in evidence.composed if service.built is not None}
    taken = {service.name for service in evidence.composed}
    for program in evidence.programs:
        if program.context not in built and program.dockerfile.parent not in built:
            yield program if program.name not in taken else replace(program, name=f"{program.name}-app")


def _own(programs: list[Program], wiring: Wiring) -> Iterator[Proposed]:
    for number, program in enumerate(programs):
        yield own_service(program, wiring, frozenset(later.name for later in programs[number + 1 :]))


def _overlays(wiring: Wiring) -> Iterator[Proposed]:
    """What lies on top of the Compose file's own services: the stubs in the place of the real third parties."""
    for service in wiring.evidence.composed:
        if service.built is None:
            continue
        env = tuple(
            Entry(variable.name, wiring.reference(variable), f"{variable.file}")
            for third in wiring.thirds
            for variable in wiring.evidence.variables
            if variable.name in third.variables and variable.name in service.text
        )
        if env:
            title = "The code under test: asks the stubs in place of the third parties."
            yield Proposed(service.name, "", title, str(wiring.evidence.compose), (Entry("env", env),))


def _seeded(services: list[Proposed], database: str, steps: list[tuple[Entry, ...]]) -> Iterator[Proposed]:
    if not steps:
        yield from services
        return
    seed = Entry("seed", Steps(tuple(steps)))
    if all(service.name != database for service in services):
        yield Proposed(database, "", "What the tests find in the database.", "", (seed,))
    for service in services:
        yield replace(service, body=(*service.body, seed)) if service.name == database else service


def _variables(wiring: Wiring, programs: list[Program]) -> Iterator[Entry]:
    """A variable of the environment for each secret of the project's own services."""
    found: dict[str, Entry] = {}
    for program in programs:
        for variable in variables_of(program, wiring.evidence):
            if is_secret(variable) and not wiring.reference(variable):
                default = (variable.value or f"for-tests-only-{variable.name.lower()}").replace("${", "$${")
                # A short one would be masked in every word that it is a part of.
                secret: dict[str, Scalar] = {"secret": True} if len(default) >= 8 else {}
                value = Flow({"from": variable.name, **secret, "default": default})
                found[variable_key(variable)] = Entry(variable_key(variable), value, str(variable.file))
    yield from found.values()


def _outputs(wiring: Wiring, programs: list[Program]) -> Iterator[Entry]:
    found: dict[str, Entry] = {}
    for variable in wiring.evidence.variables:
        if text := wiring.reference(variable):
            found.setdefault(variable.name, Entry(variable.name, text, f"{variable.file}"))
    said = " ".join(str(entry.value) for entry in found.values())
    for entry in own_outputs(wiring, programs):
        if f"{entry.value}" not in said.split():
            found.setdefault(entry.key, entry)
    for kind, server in wiring.known.items():
        if f"${{{server.name}." not in said and f"@${{{server.name}." not in said:
            found |= {entry.key: entry for entry in _defaults(kind, server) if entry.key not in found}
    yield from found.values()


def _defaults(kind: str, server: Server) -> Iterator[Entry]:
    if not server.known:
        return
    for key, prop in DEFAULTS.get(kind, {}).items():
        yield Entry(key, f"${{{server.name}.{prop}}}", server.because)


def _test(runner: Runner) -> Entry:
    command = from_folder(runner.folder, UP, runner.command)
    if not runner.reports:
        return Entry(runner.name, command, runner.because)
    reports = Flow(tuple(f"{UP}/{report}" if str(runner.folder) == "." else f"{UP}/{runner.folder}/{report}" for report in runner.reports))
    return Entry(runner.name, (Entry("run", command, runner.because), Entry("reports", reports)))
