"""Tests of what each service gets on every engine: variables, files, start order and addresses; and that its end is noticed."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from typing import Any

import pytest

from tests.processes import until
from tests.support import Project

SHOW = """
import http.server, json, os, pathlib, sys
class Show(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        files = {p: pathlib.Path(p).read_bytes().hex() for p in os.environ.get("SHOW_FILES", "").split(":") if p}
        body = json.dumps({"env": dict(os.environ), "argv": sys.argv[1:], "files": files}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        print("asked", flush=True)
print("begun", flush=True)
http.server.HTTPServer((os.environ.get("BIND", "0.0.0.0"), int(os.environ["PORT"])), Show).serve_forever()
"""
API = """
  {name}:
    kind: api
    image: python:3.13-slim
    run: python3 -u ${{self.prefix}}/srv/show.py
    port: 8000
    files: {{/srv/show.py: show.py}}
    env:
      PORT: ${{self.port}}
      BIND: ${{self.bind}}
"""
NASTY = [
    "$HOME ${X} $$ $${Y}",
    "quo\"te 'single'",
    "two\nlines\r\n\ttab",
    "back\\slash \\n",
    "ünïcode €",
    "  outer blanks  ",
    "",
    "#no comment",
    "{{ x }}",
]


def api(name: str, *, more: str = "") -> str:
    return API.format(name=name) + more


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


@pytest.fixture
def shown(on: Project) -> Project:
    on.write("environments/show.py", SHOW)
    return on


def test_values_arrive_byte_for_byte(shown: Project) -> None:
    values = {f"V{number}": value for number, value in enumerate(NASTY)}
    written = "".join(f"      {key}: {json.dumps(value.replace('${', '$${'))}\n" for key, value in values.items())
    shown.environment("e", "services:" + api("a", more=written) + "outputs: {URL: '${a.url}', V: \"a 'b' $c\"}\n")
    outputs = shown.envctl("up", "e", "--json").ok().json["outputs"]
    seen = get(outputs["URL"])["env"]
    assert {key: seen[key] for key in values} == values
    assert outputs["V"] == "a 'b' $c"


def test_arguments_stay_apart(shown: Project) -> None:
    shown.write("environments/args.py", "import sys, json; print(json.dumps(sys.argv[1:]))\n")
    text = """
variables: {blank: "a b", quote: "it's"}
services:
  j:
    kind: job
    image: python:3.13-slim
    run: python3 ${self.prefix}/srv/args.py ${var.blank} "two words" ${var.quote} $HOME
    files: {/srv/args.py: args.py}
"""
    shown.environment("e", text)
    shown.envctl("up", "e").ok()
    assert json.loads(shown.envctl("logs", "e", "j").ok().out) == ["a b", "two words", "it's", "$HOME"]


def test_files_arrive_whether_text_binary_or_folder(shown: Project) -> None:
    binary = bytes(range(256))
    (shown.folder / "environments/data/sub").mkdir(parents=True)
    (shown.folder / "environments/data/b.bin").write_bytes(binary)
    shown.write("environments/data/sub/t.txt", "text with $ and ${x}\n")
    more = "      SHOW_FILES: ${self.prefix}/data/b.bin:${self.prefix}/data/sub/t.txt\n"
    text = api("a", more=more).replace("files: {/srv/show.py: show.py}", "files: {/srv/show.py: show.py, /data: data}")
    shown.environment("e", "services:" + text + "outputs: {URL: '${a.url}'}\n")
    seen = get(shown.envctl("up", "e", "--json").ok().json["outputs"]["URL"])["files"]
    first, second = seen
    assert bytes.fromhex(seen[first]) == binary
    assert bytes.fromhex(seen[second]) == b"text with $ and ${x}\n"


def test_a_changed_file_and_a_changed_variable_reach_the_service(shown: Project) -> None:
    shown.environment("e", "services:" + api("a", more="      WORD: one\n") + "outputs: {URL: '${a.url}'}\n")
    first = shown.envctl("up", "e", "--json").ok().json["outputs"]
    shown.environment("e", "services:" + api("a", more="      WORD: two\n") + "outputs: {URL: '${a.url}'}\n")
    second = shown.envctl("up", "e", "--json").ok().json["outputs"]
    assert second == first, "the address stays"
    assert get(second["URL"])["env"]["WORD"] == "two"
    shown.write("environments/show.py", SHOW.replace('"argv"', '"words"'))
    shown.envctl("up", "e").ok()
    assert "words" in get(second["URL"])


def test_references_are_resolved_for_their_reader(shown: Project) -> None:
    more = "      OTHER: ${b.url}\n      PUBLIC: ${self.outside.url}\n      FORCED: ${b.outside.port}\n"
    shown.environment(
        "e", "services:" + api("a", more=more) + api("b") + "outputs: {A: '${a.url}', B: '${b.url}', IN: '${b.inside.url}'}\n"
    )
    outputs = shown.envctl("up", "e", "--json").ok().json["outputs"]
    seen = get(outputs["A"])["env"]
    assert seen["OTHER"] == outputs["IN"]
    assert seen["PUBLIC"] == outputs["A"]
    assert outputs["B"].endswith(":" + seen["FORCED"])


def test_a_job_is_done_before_who_needs_it_starts(shown: Project) -> None:
    job = "  first: {kind: job, image: 'python:3.13-slim', run: \"python3 -c 'import time; time.sleep(0.5); print(time.time_ns())'\"}\n"
    after = api("a").replace("    port: 8000\n", "    port: 8000\n    needs: {first: done}\n")
    shown.environment("e", "services:\n" + job + after)
    document = shown.envctl("up", "e", "--json").ok().json
    assert document["services"]["first"]["state"] == "done"
    assert document["services"]["first"]["ready_ms"] < document["services"]["a"]["ready_ms"]
    ran = int(shown.envctl("logs", "e", "first").ok().out)
    shown.envctl("restart", "e", "first").ok()
    assert int(shown.envctl("logs", "e", "first").ok().out.split()[-1]) > ran, "it is run again"


def test_a_failing_job_fails_the_environment(shown: Project) -> None:
    shown.environment("e", "services:\n  j: {kind: job, image: 'python:3.13-slim', run: \"python3 -c 'print(7); exit(3)'\"}\n")
    failed = shown.envctl("up", "e")
    assert failed.status == 1
    assert "j ended with 3" in failed.err
    assert "    7\n" in failed.err
    assert shown.envctl("list", "--json").ok().json == []


def test_a_service_that_dies_fails_the_environment_with_its_last_words(shown: Project) -> None:
    shown.environment(
        "e", "services:\n  s: {image: 'python:3.13-slim', port: 80, run: \"python3 -c 'print(\\\"last words\\\"); exit(9)'\"}\n"
    )
    failed = shown.envctl("up", "e")
    assert failed.status == 1
    assert "s ended with 9" in failed.err
    assert "last words" in failed.err


def test_one_that_never_gets_ready_runs_out_of_time(shown: Project) -> None:
    shown.environment("e", "services:" + api("a").replace("port: 8000", "port: 8000\n    ready: {http: /, status: 418}"))
    failed = shown.envctl("up", "e", "--timeout", "10s" if shown.engine == "kubernetes" else "3s")  # long enough for the first answer
    assert failed.status == 124
    assert "out of time: a is still starting" in failed.err
    assert "GET / answered 200" in failed.err
    assert shown.envctl("list", "--json").ok().json == []


def test_logs_and_commands_inside(shown: Project) -> None:
    shown.environment("e", "services:" + api("a", more="      WORD: one\n"))
    shown.envctl("up", "e").ok()
    assert shown.envctl("logs", "e", "a").ok().out.startswith("begun\n")
    ran = shown.envctl("exec", "e", "a", "--", "python3", "-c", "import os; print(os.environ['WORD']); exit(5)")
    assert (ran.status, ran.out) == (5, "one\n")


def test_a_restarted_service_keeps_its_address(shown: Project) -> None:
    shown.environment("e", "services:" + api("a", more="      WORD: one\n") + "outputs: {URL: '${a.url}'}\n")
    outputs = shown.envctl("up", "e", "--json").ok().json["outputs"]
    shown.envctl("restart", "e", "a").ok()
    assert get(outputs["URL"])["env"]["WORD"] == "one"


def test_what_has_expired_is_collected_and_the_rest_stays(shown: Project) -> None:
    shown.environment("e", "services:\n  s: {kind: stub}\n")
    shown.envctl("up", "e", "--name", "long", "--ttl", "15s").ok()
    shown.envctl("up", "e", "--name", "short", "--ttl", "10s").ok()
    shown.envctl("extend", "long", "1h").ok()
    until(lambda: "short" not in [row["name"] for row in shown.envctl("list", "--json").ok().json], what="the end of what has expired")
    assert [row["name"] for row in shown.envctl("list", "--json").ok().json] == ["long"]


def test_run_hands_over_the_outputs_and_returns_the_commands_status(shown: Project) -> None:
    shown.environment("e", "services:\n  s: {kind: stub}\noutputs: {URL: '${s.url}/__admin/health'}\n")
    code = "import os, sys, urllib.request as r; print(r.urlopen(os.environ['URL']).status, os.environ['ENVCTL_INSTANCE']); sys.exit(6)"
    ran = shown.envctl("run", "e", "--", "python3", "-c", code, env={"PATH": os.environ["PATH"]})
    assert ran.status == 6
    assert re.fullmatch(r"200 e-[0-9a-f]{6}\n", ran.out)
    assert shown.envctl("list", "--json").ok().json == []
