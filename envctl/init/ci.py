"""Read CI configurations: find the servers that the tests need, their variables, and the commands that start the tests.

CI configurations are known to work, so their images, credentials, names and commands are better evidence than a guess. To
support another CI system, add an entry to READERS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from envctl.init.model import ROOT, ExampleVariable, SeenServer, TestCommand
from envctl.init.project_files import ProjectFiles, as_list, as_map
from envctl.init.test_lines import is_test_line, test_name, tool_of

MAX_FILES = 30
LARGEST = 100_000
"""The largest CI file that is read, in characters. A larger file is not written by hand."""
MAX_TEXT = 4096
ONE_WAY = ("go", "pytest", "cargo", "maven", "gradle", "dotnet", "rspec", "tox", "phpunit", "mix", "jest", "vitest")
"""Tools whose command lines in one folder differ only in options: they run the same tests, so one line is enough."""
_EXPRESSION = re.compile(r"\$\{\{([^{}]*)\}\}")
_PORT = re.compile(r"job\.services\.[\w-]+\.ports\[['\"]?(\d+)['\"]?\]")


class Job(NamedTuple):
    """One job of a CI configuration. `steps` are pairs of a shell script and the folder in which it starts."""

    file: PurePosixPath
    servers: tuple[SeenServer, ...] = ()
    variables: Mapping[str, str] = {}
    steps: tuple[tuple[str, PurePosixPath], ...] = ()


def ci_jobs(project: ProjectFiles) -> list[Job]:
    """Return the jobs that run tests or have servers; jobs that only build or deploy are left out."""
    found = [(read, path) for matches, read in READERS for path in list(filter(matches, project.files))[:MAX_FILES]]
    jobs = [job for read, path in found if len(project.text(path, whole=True)) <= LARGEST for job in read(project, path)]
    return [job for job in jobs if job.servers or any(_tests(job))]


def ci_servers(jobs: Iterable[Job]) -> list[SeenServer]:
    """Return the servers of all jobs, each image once: jobs often differ in the version of a language, seldom in their servers."""
    found: dict[str, SeenServer] = {}
    for server in (server for job in jobs for server in job.servers):
        found.setdefault(re.sub(r":[^/:]*$", "", server.image), server)
    return list(found.values())


def ci_variables(jobs: Iterable[Job]) -> list[ExampleVariable]:
    """Return the variables that the jobs set for their tests. If several jobs set a variable, the first job's value is used."""
    found: dict[str, ExampleVariable] = {}
    for job in jobs:
        for name, value in job.variables.items():
            found.setdefault(name, ExampleVariable(name, value, job.file, "ci"))
    return list(found.values())


def ci_commands(jobs: Iterable[Job]) -> list[TestCommand]:
    """Return one command for each tool, folder and type of tests.

    If there are several lines for the same tests, the shortest is used, because it restricts the tests least.
    """
    found: dict[tuple[str, PurePosixPath], TestCommand] = {}
    for job in jobs:
        for line, folder in _tests(job):
            # The build step before this line is not run here, and neither are the other shards.
            line = re.sub(r" --no-(?:build|restore)(?= |$)| --shard[= ]\S+", "", line)
            key = f"{tool_of(line)} {test_name(line)}" if tool_of(line) in ONE_WAY else line, folder
            if key not in found or len(line) < len(found[key].command):
                found[key] = TestCommand(test_name(line), line, folder, str(job.file))
    return list(found.values())


def _tests(job: Job) -> Iterator[tuple[str, PurePosixPath]]:
    for text, folder in job.steps:
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            if is_test_line(line := line.strip()):
                yield line, folder


def _github(project: ProjectFiles, path: PurePosixPath) -> Iterator[Job]:
    tree = project.tree(path)
    for job in as_map(tree.get("jobs")).values():
        job = as_map(job)
        known = {f"matrix.{key}": value for key, value in _matrix(as_map(as_map(job.get("strategy")).get("matrix"))).items()}
        env = _texts(as_map(tree.get("env")), known) | _texts(as_map(job.get("env")), known)
        known |= {f"env.{key}": value for key, value in env.items()}
        steps = [as_map(step) for step in as_list(job.get("steps"))]
        defaults = as_map(as_map(as_map(job.get("defaults") or tree.get("defaults")).get("run")))
        for step in steps:
            if step.get("run"):
                env = env | _texts(as_map(step.get("env")), known)
        runs = [
            (_resolved(step.get("run"), known), _folder(step.get("working-directory") or defaults.get("working-directory")))
            for step in steps
        ]
        servers = [_server(name, each, path, "env", known) for name, each in as_map(job.get("services")).items()]
        yield _job(path, servers, env, runs)


def _matrix(matrix: dict[str, Any]) -> dict[str, str]:
    """Return one combination of the matrix.

    It takes the last value of each list, which is usually the newest; for keys that only occur in `include`, the first value there.
    """
    included = [as_map(item) for item in as_list(matrix.get("include"))]
    values = {key: str(value) for item in reversed(included) for key, value in item.items()}
    return values | {
        key: str(items[-1]) for key, items in matrix.items() if isinstance(items, list) and items and key not in ("include", "exclude")
    }


def _resolved(value: object, known: Mapping[str, str]) -> str:
    """Return *value* as text with the known `${{ }}` expressions replaced. Unknown expressions stay: callers discard such texts."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1].strip()
        port = _PORT.fullmatch(name)
        return port[1] if port else known.get(name, match[0])

    return _EXPRESSION.sub(replaced, str(value)) if value is not None else ""


def _texts(env: dict[str, Any], known: Mapping[str, str] = {}) -> dict[str, str]:
    found = {key: _resolved(value.get("value") if isinstance(value, dict) else value, known) for key, value in env.items()}
    return {key: text for key, text in found.items() if "${{" not in text and len(text) <= MAX_TEXT and re.fullmatch(r"[A-Za-z_]\w*", key)}


def _folder(value: object) -> PurePosixPath:
    path = PurePosixPath(str(value or ".").removeprefix("./") or ".")
    return ROOT if path.is_absolute() or ".." in path.parts or "$" in str(path) else path


def _server(name: str, each: object, path: PurePosixPath, env_key: str, known: Mapping[str, str] = {}) -> SeenServer:
    tree = each if isinstance(each, dict) else {"image": each, "name": each}
    image = _resolved(tree.get("image") or tree.get("name"), known)
    return SeenServer(name, image, _texts(as_map(tree.get(env_key)), known), path)


def _job(path: PurePosixPath, servers: Iterable[SeenServer], env: Mapping[str, str], steps: Iterable[tuple[str, PurePosixPath]]) -> Job:
    usable = tuple(server for server in servers if server.image and "$" not in server.image)
    return Job(path, usable, env, tuple((text, folder) for text, folder in steps if text))


def _gitlab(project: ProjectFiles, path: PurePosixPath) -> Iterator[Job]:
    tree = project.tree(path)
    common, top = as_map(tree.get("default")), _texts(as_map(tree.get("variables")))
    for name, job in tree.items():
        if not isinstance(job, dict) or not (job.get("script") or job.get("services")) or name == "default":
            continue
        env = top | _texts(as_map(job.get("variables")))
        listed = as_list(job.get("services")) or as_list(tree.get("services")) or as_list(common.get("services"))
        servers = [_server(str(as_map(each).get("alias") or ""), each, path, "variables") for each in listed]
        # GitLab passes a job's variables to its service containers too.
        servers = [server._replace(environment={**env, **server.environment}) for server in servers]
        yield _job(path, servers, env, _script(job.get("before_script"), job.get("script")))


def _script(*parts: object) -> list[tuple[str, PurePosixPath]]:
    lines = [line for part in parts for line in (part if isinstance(part, list) else [part])]
    return [(line, ROOT) for line in lines if isinstance(line, str)]


def _circleci(project: ProjectFiles, path: PurePosixPath) -> Iterator[Job]:
    tree = project.tree(path)
    executors = as_map(tree.get("executors"))
    for job in as_map(tree.get("jobs")).values():
        job = as_map(job)
        executor = as_map(executors.get(str(job.get("executor"))))
        images = [as_map(image) for image in as_list(job.get("docker")) or as_list(executor.get("docker"))]
        env = _texts(as_map(images[0].get("environment")) if images else {}) | _texts(as_map(job.get("environment")))
        runs = [as_map(step).get("run") for step in as_list(job.get("steps"))]
        for run in runs:
            env |= _texts(as_map(as_map(run).get("environment")))
        steps = [
            (run, ROOT) if isinstance(run, str) else (str(as_map(run).get("command") or ""), _folder(as_map(run).get("working_directory")))
            for run in runs
        ]
        servers = [_server(str(image.get("name") or ""), image, path, "environment") for image in images[1:]]
        yield _job(path, servers, env, steps)


_TRAVIS = {
    "postgresql": "postgres", "mysql": "mysql", "mariadb": "mariadb", "redis-server": "redis", "redis": "redis", "rabbitmq": "rabbitmq",
    "memcached": "memcached", "mongodb": "mongo", "elasticsearch": "elasticsearch",
}  # fmt: skip
"""The names of servers that Travis can install, and for each the image of the same server."""


def _travis(project: ProjectFiles, path: PurePosixPath) -> Iterator[Job]:
    tree = project.tree(path)
    listed = tree.get("services")
    names = [listed] if isinstance(listed, str) else as_list(listed)
    servers = [SeenServer(name, _TRAVIS[name], {}, path) for name in map(str, names) if name in _TRAVIS]
    env = tree.get("env")
    lines = as_list(as_map(env).get("global")) if isinstance(env, dict) else as_list(env)[:1]
    pairs = [pair for line in lines if isinstance(line, str) for pair in re.findall(r"""([A-Za-z_]\w*)=["']?([^\s"']*)""", line[:MAX_TEXT])]
    yield _job(path, servers, dict(pairs), _script(tree.get("before_script"), tree.get("script")))


def _bitbucket(project: ProjectFiles, path: PurePosixPath) -> Iterator[Job]:
    tree = project.tree(path)
    services = as_map(as_map(tree.get("definitions")).get("services"))
    for step in _steps(tree.get("pipelines")):
        names = [str(name) for name in as_list(step.get("services"))]
        servers = [_server(name, services[name], path, "variables") for name in names if isinstance(services.get(name), dict)]
        yield _job(path, servers, {}, _script(step.get("script")))


def _steps(tree: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Return every `step` in the nested lists and maps of *tree*, at most ten levels deep."""
    if isinstance(tree, dict) and depth < 10:
        if isinstance(tree.get("step"), dict):
            yield tree["step"]
        for value in tree.values():
            yield from _steps(value, depth + 1)
    elif isinstance(tree, list) and depth < 10:
        for item in tree:
            yield from _steps(item, depth + 1)


Reader = Callable[[ProjectFiles, PurePosixPath], Iterator[Job]]
READERS: tuple[tuple[Callable[[PurePosixPath], bool], Reader], ...] = (
    (lambda path: path.parts[:2] == (".github", "workflows") and path.suffix in (".yml", ".yaml"), _github),
    (lambda path: str(path) == ".gitlab-ci.yml", _gitlab),
    (lambda path: str(path) in (".circleci/config.yml", ".circleci/config.yaml"), _circleci),
    (lambda path: str(path) == ".travis.yml", _travis),
    (lambda path: str(path) == "bitbucket-pipelines.yml", _bitbucket),
)
"""Pairs of a predicate, which accepts the paths of one CI system's files, and the function that reads such a file."""
