"""The exec agent: two more containers in a server's pod, which run commands with the server's own client without the right to `exec`.

`envctl-ears` is envctl's own (`templates/kubernetes/exec_agent.py`). It listens on the pod's loopback interface, which only a port forward
reaches, and writes the requested commands as scripts. `envctl-exec-agent` has the server's image and runs the scripts in a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from envctl.definition.kinds import Amount
from envctl.files.package_data import templates
from envctl.plan.model import ServicePlan
from envctl.render.kubernetes.rendering import Rendering
from envctl.render.kubernetes.secrets import Drawer
from envctl.render.kubernetes.templates import Object

PORT = 15099
AGENT = "envctl-exec-agent"
"""The name of the container that runs commands, and of the volume that both containers share."""
FOLDER = "/run/envctl-exec-agent"
TOKEN_KEY = "exec-agent"
SCRIPT_KEY = "exec_agent.py"
_SCRIPT_FOLDER = "/opt/envctl-exec-agent"
_MOST = Amount(cpu="2", memory="512Mi")
LOOP = """\
d=$0; umask 077
until [ -p "$d/todo" ] && [ -p "$d/done" ]; do sleep 0.1 2>/dev/null || sleep 1; done
echo "restarted 0" > "$d/done"
while :; do
  read -r what n < "$d/todo" || { sleep 1; continue; }
  case $what in
    run) echo "$n begun" > "$d/done"; ( ( sh "$d/$n.run" < "$d/$n.in" > "$d/$n.out" 2>&1; echo "$n $?" > "$d/done" ) & ) ;;
    kill) kill "$n" 2>/dev/null ;;
  esac
done
"""
"""A shell loop that runs each request in a background subshell, so that the loop never waits. It works in dash, bash and busybox."""


def has_exec_agent(rendering: Rendering, service: ServicePlan) -> bool:
    """Return whether the pod of *service* has an exec agent: seed steps, its setup or its checks run commands in it."""
    if rendering.options.standalone or service.once or rendering.options.existing_secret is not None:
        return False
    inside = any((step.feed is not None and step.feed.command) or step.step.runs_in == "server" for step in service.steps)
    return inside or bool(service.setup) or any(check.probe == "query" for check in service.checks)


def script_name(service: ServicePlan) -> str:
    """Return the name of the ConfigMap with the listener's script."""
    return f"{service.host}-exec-agent"


@lru_cache
def script() -> str:
    """Return the text of the listener's script."""
    return templates("kubernetes", "exec_agent.py").read_text("utf-8")


def containers(rendering: Rendering, service: ServicePlan, main: Object, drawer: Drawer) -> tuple[list[Object], list[Object]]:
    """Return the exec agent's containers and volumes for *service*; two empty lists if the service needs no exec agent."""
    if not has_exec_agent(rendering, service):
        return [], []
    token = rendering.plan.setting.secret(service.name, TOKEN_KEY).encode()
    reference = drawer.put(TOKEN_KEY, token, "the token for its exec agent")
    shared = {"name": AGENT, "mountPath": FOLDER}
    ears = rendering.container(
        "envctl-ears",
        rendering.python,
        command=["python3", "-I", "-S", f"{_SCRIPT_FOLDER}/{SCRIPT_KEY}", FOLDER, str(PORT)],
        env=[{"name": "ENVCTL_HANDS_TOKEN", "valueFrom": {"secretKeyRef": reference}}],
        mounts=[shared, {"name": "envctl-exec-agent-script", "mountPath": _SCRIPT_FOLDER, "readOnly": True}],
    )
    loop = rendering.container(
        AGENT,
        main["image"],
        command=["sh", "-c", LOOP.replace("$", "$$"), FOLDER],
        env=main.get("env", []),
        mounts=[*main.get("volumeMounts", []), shared],
        read_only=main["securityContext"]["readOnlyRootFilesystem"],
        limits=_MOST,
    )
    script_volume = {"name": "envctl-exec-agent-script", "configMap": {"name": script_name(service), "defaultMode": 0o444}}
    return [ears, loop], [{"name": AGENT, "emptyDir": {}}, script_volume]


def config_map(rendering: Rendering, service: ServicePlan) -> Iterator[Object]:
    """Yield the ConfigMap with the listener's script, if *service* has an exec agent."""
    if has_exec_agent(rendering, service):
        meta = rendering.metadata(script_name(service), service)
        yield rendering.templates.render("configmap", metadata=meta, data={SCRIPT_KEY: script()}, binary={})
