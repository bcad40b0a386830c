"""An existing instance on Kubernetes: the states of its pods, their logs, and commands in their containers."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from envctl.engines.kubernetes.api import ANSWER, Api, ApiError, Ignoring
from envctl.engines.kubernetes.contexts import IN_CLUSTER
from envctl.engines.kubernetes.pods import replicas, service_of, service_state
from envctl.engines.kubernetes.records import renew
from envctl.engines.protocol import ServiceState, TerminalCommand
from envctl.errors import EnvctlError, UsageError
from envctl.instance.labels import EXPIRES, INSTANCE, SERVICE
from envctl.keeper.cluster.pod_status import is_running, own_container, own_status
from envctl.keeper.cluster.pod_status import newest as newest_of
from envctl.keeper.cluster.protocol import Object, path_of
from envctl.process.threads import merged
from envctl.session.session import Host


@dataclass
class KubernetesInstance:
    """An instance: the pods with the label *id* in *namespace*. *shared* means that the namespace is not the instance's own.

    `RunningInstance` in `envctl.engines.protocol` documents the methods without a docstring.
    """

    api: Api
    host: Host
    id: str
    namespace: str
    shared: bool = False

    def pods(self, service: str = "") -> list[Object]:
        """Return the pods of the service, or of the whole instance.

        Raises:
            ApiError: the pods cannot be listed.
        """
        selector = f"{INSTANCE}={self.id}" + (f",{SERVICE}={service}" if service else "")
        try:
            return self.api.list("v1", "Pod", self.namespace, selector)
        except ApiError as error:
            raise ApiError(error.status, f"{self.id}: cannot look at its pods: {error.message}", error.reason) from None

    def pod(self, service: str) -> Object:
        """Return the newest pod of the service.

        Raises:
            EnvctlError: the service has no pod, or its pods cannot be listed.
        """
        found = newest_of(self.pods(service))
        if found is None:
            raise not_there(service)
        return found

    def state(self, service: str) -> ServiceState:
        return service_state(self.pods(service))

    def states(self) -> Mapping[str, ServiceState]:
        by_service: dict[str, list[Object]] = {}
        for pod in self.pods():
            if service_of(pod):
                by_service.setdefault(service_of(pod), []).append(pod)
        return {name: service_state(pods) for name, pods in by_service.items()}

    def logs(self, service: str, tail: int | None = None) -> Iterator[bytes]:
        """Yield the log of each replica's container; if it has printed nothing yet, the log of the container before its restart."""
        for pod in replicas(self._known_pods(service)):
            yield from self._logs(pod, tail)

    def _known_pods(self, service: str) -> list[Object]:
        return self.pods(service)

    def _logs(self, pod: Object, tail: int | None) -> Iterator[bytes]:
        said, first = False, is_running(pod) and not own_status(pod).get("restartCount")
        for previous in ("false",) if first else ("false", "true"):
            with Ignoring(400, 404):
                for piece in self._printed(pod, tail, ANSWER, previous=previous):
                    said = True
                    yield piece
            if said:
                return

    def follow(self, services: Sequence[str], tail: int | None) -> Iterator[tuple[str, bytes]]:
        pods = [(name, pod) for name in services for pod in replicas(self.pods(name))]
        yield from merged([zip(repeat(name), self._printed(pod, tail, None, follow="true")) for name, pod in pods])

    def _printed(self, pod: Object, tail: int | None, patience: float | None, **how: str) -> Iterator[bytes]:
        query = {"container": own_container(pod), **how} | ({"tailLines": str(tail)} if tail is not None else {})
        yield from self.api.pieces(f"{path_of('v1', 'Pod', self.namespace, pod['metadata']['name'])}/log", patience, **query)

    def renew(self, expires: str | None, labels: Mapping[str, str]) -> None:
        """Set when the instance expires: in its record, which other machines read, and in the namespace, if it is the instance's own."""
        told = {"metadata": {"annotations": {EXPIRES: expires}}}
        if not self.shared:
            with Ignoring(404):
                self.api.request("PATCH", path_of("v1", "Namespace", None, self.namespace), told, "application/merge-patch+json")
        renew(self.api, self.namespace, self.id, expires)

    def interactive(self, service: str, argv: Sequence[str], env: Mapping[str, str], user: str | None) -> TerminalCommand:
        """Return a kubectl command; it needs the right to `exec`. Values of *env* reach the container through stdin, never as arguments."""
        if shutil.which("kubectl", path=self.host.environ.get("PATH")) is None:
            hint = f"install it; `envctl env {self.id}` gives the addresses to any client here"
            raise UsageError("`exec` and `shell` on Kubernetes need kubectl", hint=hint)
        pod = self.pod(service)
        context = [] if self.api.context.name == IN_CLUSTER else ["--context", self.api.context.name]
        place = ["kubectl", *context, "-n", self.namespace, "exec", "-i"]
        target = [pod["metadata"]["name"], "-c", own_container(pod), "--"]
        terminal = ["-t"] if os.isatty(0) and os.isatty(1) else []
        inside = _with_variables([*place, *target], env, argv) if env else list(argv)
        return TerminalCommand([*place, *terminal, *target, *inside], dict(self.host.environ))


def not_there(service: str) -> EnvctlError:
    """Return the error for a service that has no pod."""
    return EnvctlError(f"{service}: its pod is gone", hint="`envctl up` brings it back")


def own_namespace(api: Api, name: str, id: str) -> Object | None:
    """Return the namespace *name*; None if it does not exist.

    Raises:
        UsageError: the namespace does not carry the label of the instance *id*.
    """
    found = api.get("v1", "Namespace", None, name)
    if found is not None and (found["metadata"].get("labels") or {}).get(INSTANCE) != id:
        hint = "use another --name, or use it as it is with `--namespace`"
        raise UsageError(f"the namespace {name} exists, and is not envctl's", hint=hint)
    return found


def _with_variables(line: Sequence[str], env: Mapping[str, str], argv: Sequence[str]) -> list[str]:
    """Write the variables to a file in the container; return a command that reads the file, removes it and runs *argv*.

    The first writable folder is used, beginning with one in memory: some pods have a read-only root file system without /tmp.
    """
    text = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in env.items())
    name = f".envctl-{secrets.token_hex(8)}"
    done = subprocess.run([*line, "sh", "-c", _KEEP, name], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines()
        raise EnvctlError(f"the command cannot be given its variables: {why[-1] if why else done.returncode}")
    return ["sh", "-c", '. "$0"; rm -f "$0"; exec "$@"', done.stdout.decode().strip(), *argv]


_KEEP = """umask 077
for folder in /dev/shm /tmp /var/tmp "$PWD"; do
  if [ -d "$folder" ] && [ -w "$folder" ]; then cat > "$folder/$0" && echo "$folder/$0"; exit; fi
done
echo "no folder of this container can be written to" >&2
exit 1"""
