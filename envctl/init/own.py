"""The services of the project's own that Dockerfiles build, and the addresses under which tests find them."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator

from envctl.init.model import ROOT, Api, Entry, Flow, Name, Program, ProjectFindings, Proposed, Variable
from envctl.init.names import variable_name
from envctl.init.openapi import ready_path
from envctl.init.servers import DEFAULTS
from envctl.init.third_parties import is_foreign
from envctl.init.wiring import Wiring, plain

MAX_ENV = 60


def own_service(program: Program, wiring: Wiring, later: frozenset[str]) -> Proposed:
    """The service; a reference to one of *later* must not make it wait, or two services could wait for each other."""
    env = list(_env(program, wiring))
    body = [_build(program)]
    if program.port:
        body += [Entry("port", program.port, program.port_because), *_ready(program, wiring.evidence)]
    if env:
        body.append(Entry("env", tuple(env)))
    waiting = [name for name in sorted(later) if any(f"${{{name}." in str(entry.value) for entry in env)]
    if waiting:
        body.append(Entry("needs", Flow(dict.fromkeys(waiting, "none")), "they refer to each other"))
    title = "The code under test." if program.port else "Code under test that listens on no port; `ready: {log: REGEX}` says when it works."
    return Proposed(program.name, "api" if program.port else "", title, str(program.dockerfile), tuple(body))


def up(path: Name) -> str:
    """A path of the project as the definition in `environments/` writes it."""
    return (".." if path == ROOT else f"../{path}").replace("${", "$${")


def _build(program: Program) -> Entry:
    dockerfile = os.path.relpath(program.dockerfile, program.context)
    if dockerfile == "Dockerfile":
        return Entry("build", up(program.context))
    return Entry("build", (Entry("context", up(program.context)), Entry("dockerfile", dockerfile)))


def _ready(program: Program, evidence: ProjectFindings) -> Iterator[Entry]:
    path, because = program.ready, program.ready_because
    if not path:
        api = _api(program, evidence)
        path, because = (ready_path(api), str(api.file)) if api else ("", "")
    if path:
        yield Entry("ready", Flow({"http": path}), because)


def _api(program: Program, evidence: ProjectFindings) -> Api | None:
    """The OpenAPI document of the program: below its folder, or anywhere where there is only one program."""
    own = [api for api in evidence.apis if not is_foreign(api)]
    folder = program.dockerfile.parent
    near = [api for api in own if folder != ROOT and api.file.is_relative_to(folder)]
    return next(iter(near or (own if len(evidence.programs) == 1 else [])), None)


def _env(program: Program, wiring: Wiring) -> Iterator[Entry]:
    variables = variables_of(program, wiring.evidence)
    spoken_of: set[str] = set()
    for variable in variables[:MAX_ENV]:
        text = wiring.reference(variable)
        if wiring.owner(variable) == program.name:
            text = re.sub(rf"\$\{{{re.escape(program.name)}\.", "${self.", text)
        entry = Entry(variable.name, text, f"{variable.file}") if text else plain(variable, program.port is not None)
        if entry is not None:
            spoken_of |= set(re.findall(r"\$\{([\w-]+)", str(entry.value)))
            yield entry
    names = {variable.name for variable in variables}
    for kind, server in wiring.known.items():
        if server.name not in spoken_of and server.known and server.sure:
            for key, prop in DEFAULTS.get(kind, {}).items():
                if key not in names:
                    yield Entry(key, f"${{{server.name}.{prop}}}", "a guess: the name under which the code reads it")


def variables_of(program: Program, evidence: ProjectFindings) -> list[Variable]:
    """Those beside its Dockerfile or in its folder; else those of the project's root."""
    folders = [program.dockerfile.parent, program.context, *program.dockerfile.parent.parents]
    for folder in folders:
        if found := [variable for variable in evidence.variables if variable.file.parent == folder]:
            return found
    return []


def own_outputs(wiring: Wiring, programs: list[Program]) -> Iterator[Entry]:
    """The address of each service of the project's own that has a port."""
    for program in programs:
        if program.port:
            yield Entry(variable_name(f"{program.name}_URL"), f"${{{program.name}.url}}", str(program.dockerfile))
    for service in wiring.evidence.composed:
        if service.built is not None and any(published for published, _ in service.ports):
            yield Entry(variable_name(f"{service.name}_URL"), f"${{{service.name}.url}}", str(wiring.evidence.compose))
