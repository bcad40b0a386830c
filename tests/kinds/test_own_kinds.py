"""A project adds, extends and replaces kinds by files in its own `templates/kinds/`."""

from __future__ import annotations

import json
import urllib.request

import pg8000.native
import pymemcache
import pytest

from tests.kinds.support import PASSWORD, Running, Url, bring_up, text
from tests.support import Project

CLOCK = """
kind: clock
also: [watch]
title: A clock with a password
image: python
version: 3.13-slim
ports: {http: 9000, admin: 9001}
ports_when: {admin: admin}
user: 65534
parameters:
  zone: {type: string, enum: [UTC, CET], default: UTC}
  admin: {type: boolean, default: false}
  key: {type: string}
credentials: {key: password}
several:
  alarms:
    options: {at: {type: string}}
    properties: {url: "http://${self.host}:${self.port}/alarms/${item.name|urlencode}"}
env: {CLOCK_KEY: "${self.key}"}
files:
  /etc/clock.json: |
    {"zone": ${self.zone|json}, "alarms": {
    {% for alarm in self.alarms.values() %}
      ${alarm.name|json}: ${alarm.at|default('never')|json}${'' if loop.last else ','}
    {% endfor %}
    }}
  /srv/clock.py: |
    import http.server, json, os, sys
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said = json.load(open("".join(sys.argv[3:]) + "/etc/clock.json"))
            body = json.dumps({"key": os.environ["CLOCK_KEY"], "path": self.path, **said}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Answers).serve_forever()
command: [python3, -u, /srv/clock.py, "${self.bind}", "${self.port}"]
writable: [/tmp]
ready: {probe: http, path: /healthz}
setup:
  - each: alarms
    command: [sh, -c, "echo ${item.name|shell} >> ${self.prefix}/tmp/set"]
properties:
  url: http://${self.host}:${self.port}
  shown_key: ${self.key}
local:
  programs: [{module: http.server}]
  command: [python3, -u, "${self.prefix}/srv/clock.py", "${self.bind}", "${self.port}", "${self.prefix}"]
"""
LEDGER = """
kind: ledger
extends: postgres
title: PostgreSQL as the ledger has it
version: "17"
parameters:
  currency: {type: string, default: EUR}
several:
  databases: {default: [ledger]}
files:
  /docker-entrypoint-initdb.d/10-ledger.sql: |
    CREATE TABLE money (currency text DEFAULT ${self.currency|sql_text}, amount numeric);
    INSERT INTO money (amount) VALUES (12.50);
properties:
  dsn: "host=${self.host} port=${self.port} dbname=${self.first.databases}"
"""
MEMCACHED = """
kind: memcached
extends: memcached
parameters:
  memory: {type: integer, minimum: 1, default: 17}
"""
SERVICES = f"""
services:
  clock:
    kind: clock
    with: {{zone: CET, key: {text(PASSWORD)}, alarms: {{"it's late": {{at: "23:00"}}, early: {{}}}}}}
  other: {{kind: watch, with: {{admin: true}}}}
  money: {{kind: ledger, with: {{currency: "it's £"}}, seed: [{{sql: more.sql}}]}}
  cache: {{kind: memcached}}
"""
OUTPUTS = {
    "CLOCK": "${clock.url}",
    "LATE": '${clock.alarms["it\'s late"].url}',
    "OTHER": "${other.url}",
    "OTHER_KEY": "${other.shown_key}",
    "OTHER_ADMIN": "${other.ports.admin}",
    "MONEY": "${money.url}",
    "DSN": "${money.dsn}",
    "CACHE": "${cache.url}",
}


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    for name, kind in (("clock", CLOCK), ("ledger", LEDGER), ("memcached", MEMCACHED)):
        home.write(f"templates/kinds/{name}.yaml", kind)
    home.write("environments/more.sql", "insert into money values ('USD', 1);\n")
    return bring_up(home, "own", SERVICES, OUTPUTS)


def asked(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def test_a_kind_of_the_projects_own(up: Running) -> None:
    said = asked(up["CLOCK"])
    assert said == {"key": PASSWORD, "path": "/", "zone": "CET", "alarms": {"it's late": "23:00", "early": "never"}}
    assert asked(up["LATE"])["path"] == "/alarms/it%27s%20late"
    place = "/tmp/set" if up.project.engine != "local" else "tmp/set"
    assert up.execute("clock", "cat", place).ok().out == "it's late\nearly\n"
    assert up.defaults_of("clock").keys() == {"host", "port", "url", "shown_key", "key"}


def test_its_other_name_its_random_credentials_and_its_port(up: Running) -> None:
    said = asked(up["OTHER"])
    assert said["zone"] == "UTC"
    assert said["key"] == up["OTHER_KEY"]
    assert len(up["OTHER_KEY"]) >= 16
    assert up.shown["services"]["other"]["endpoints"].keys() == {"http", "admin"}
    assert up.shown["services"]["clock"]["endpoints"].keys() == {"http"}
    assert up["OTHER_ADMIN"] == str(up.shown["services"]["other"]["endpoints"]["admin"]["port"])


def test_a_kind_that_extends_ours(up: Running) -> None:
    at = Url.of(up["MONEY"])
    with pg8000.native.Connection(at.username, host=at.host, port=at.port, password=at.password, database="ledger") as connection:
        assert connection.run("select currency, amount::text from money order by 2 desc") == [["it's £", "12.50"], ["USD", "1"]]
    assert up["DSN"] == f"host={at.host} port={at.port} dbname=ledger"
    assert up.defaults_of("money")["jdbc_url"].endswith("/ledger")


def test_a_kind_that_replaces_ours(up: Running) -> None:
    at = Url.of(up["CACHE"])
    client = pymemcache.Client((at.host, at.port))
    assert client.stats()[b"limit_maxbytes"] == 17 << 20
    client.close()


def test_the_schema_knows_them(up: Running) -> None:
    schema = up.project.envctl("schema").ok().out
    for word in ("clock", "ledger", "currency", "zone"):
        assert f'"{word}"' in schema


def test_mistakes_are_found_in_what_it_takes(up: Running) -> None:
    up.project.environment("wrong", "services:\n  c: {kind: clock, with: {zone: PST, colour: red}}\n  l: {kind: ledgr}\n")
    done = up.project.envctl("validate", "wrong")
    assert done.status == 2
    assert "'PST' is not one of UTC, CET" in done.err
    assert "the kind 'clock' has no parameter 'colour'" in done.err
    assert "ledger" in done.err
