"""Random project folders: mutated real definitions, and expressions generated from a grammar. A seed always gives the same folder."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL = sorted([*ROOT.glob("environments/*.yaml"), *ROOT.glob("environments/*/environment.yaml"), *ROOT.glob("tests/definition/*.yaml")])
KINDS = sorted(ROOT.glob("templates/kinds/*.yaml"))
TEMPLATES = sorted(ROOT.glob("templates/kubernetes/*.j2"))
COMPOSE = "services:\n  db:\n    image: postgres:17\n    environment: {POSTGRES_PASSWORD: x}\n    ports: ['5432:5432']\n"
PIECES = [
    *(
        "${",
        "$${",
        "}",
        "{",
        "[",
        "]",
        ": ",
        "- ",
        "\n",
        "  ",
        "\t",
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        '"',
        "'",
        "\\0",
        "\x07",
        "\u202e",
        "null",
    ),
    *(
        "9" * 400,
        "1e400",
        "010",
        "yes",
        "-1",
        "..",
        "../..",
        "/etc/passwd",
        "/dev/zero",
        "**/x",
        "$" * 2000,
        "x" * 5000,
        "[" * 70,
        "{a: " * 70,
    ),
]
NEWER = """name: e
services:
  db:
    kind: postgres
    publish: 5432
    scope: environment
    resources: {cpu: 1, memory: 256M, requests: {cpu: 0.1, storage: 1G}}
    seed:
      - sql: seeds
      - {rows: {t: [{a: 1.10, b: {$base64: eA==}}]}, database: app}
      - {generate: {table: t, count: 3, columns: {a: {provider: name, unique: true}, b: {from: u.id, nulls: 0.5}}}}
      - {http: [{path: /x, json: {a: "${db.port}"}, expect: [200, 201]}], in: web}
      - {restore: seeds, owners: false}
      - {csv: seeds, into: t}
  keys: {kind: valkey, seed: [{keys: {a: {set: [x], ttl: 5m}}}]}
  bus: {kind: rabbitmq, seed: [{messages: [{queue: q, json: [1]}]}]}
  web:
    kind: api
    image: x
    port: 80
    expose: {path: /x, host: shop}
    scope: lane
    faults: {}
    kubernetes: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]
outputs: {A: "${web.public_url}", B: "${lane.number}"}
write: {.env.x: dotenv}
tests: {t: {run: [a, "${web.url}"], reports: ["r/*.xml"], only: web}}
"""
JUNIT = """<testsuites><testsuite timestamp="2026-01-01T10:00:00Z"><testcase classname="a" name="b" time="1,5">
<failure message="no">why<![CDATA[ & how]]></failure><properties><property name="envctl" value="x"/></properties></testcase>
</testsuite></testsuites>"""
STATUS = '{"name": "e", "error": null, "services": {"db": {"state": "failed"}, "../x": {"state": "ready"}}}'
SETTINGS = '[images]\n"docker.io" = "x"\n[snapshots]\nmax_size = "1G"\n[expose]\ndomain = "x"\n'
XML_PIECES = [
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&b;",
    "<a>" * 150,
    "<!--",
    "<![CDATA[",
    "]]>",
    "xmlns='x'",
    "\x00",
    "\ud800",
    "NaN",
    "::error::",
    "é" * 999,
]
COMMANDS = [
    *("validate e", "validate e", "validate e --untrusted", "render e", "render e --engine kubernetes"),
    *("init --print", "list", "report reports", "report reports --json"),
]
ATOMS = ["1", "0.5", "'a'", "var.x", "self", "self.name", "env.HOME", "[]", "{}", "none", "10", "99999", "range(9999)", "nope", "db.url"]
FILTERS = [
    "list",
    "string",
    "map('string')",
    "join('x')",
    "sum",
    "round(9)",
    "length",
    "center(99)",
    "tojson",
    "default('d')",
    "sort",
    "first",
]


def expression(random: random.Random, depth: int = 4) -> str:
    """Return a random expression with correct syntax; the evaluation of most of these expressions fails."""
    if depth == 0:
        return random.choice(ATOMS)
    left, right = expression(random, depth - 1), expression(random, random.randrange(depth))
    return random.choice(
        [
            *(f"({left} {sign} {right})" for sign in ("+", "*", "**", "%", "~", "/", "==", "in", "if", "and")),
            *(f"({left} | {name})" for name in FILTERS),
            f"[{left}, {right}]",
            f"{left}[{right}:]",
            f"{{'k': {left}}}",
        ]
    )


def mutated(random: random.Random, text: str, more: Sequence[str] = ()) -> str:
    """Return *text* with random parts cut, moved, repeated or replaced by other pieces or pieces of *more*."""
    for _ in range(random.choice([0, 1, 1, 2, 4])):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice([0, 1, 5, 40, 300]))
        new = random.choice([*PIECES, *more, *more, *more, f'"${{{expression(random)}}}"', text[start:end] * random.choice([0, 2, 50]), ""])
        text = text[:start] + new + text[end:]
    return text


def project(seed: int, folder: Path) -> list[str]:
    """Fill *folder* with the project of *seed*; return the arguments of the envctl command that reads it."""
    random_ = random.Random(seed)
    definition = random_.choice([random_.choice(REAL).read_text("utf-8"), random_.choice([NEWER, _grown(random_)])])
    for name in ("environments", "templates/kinds"):
        (folder / name).mkdir(parents=True)
    (folder / "envctl.toml").write_text(mutated(random_, SETTINGS) if random_.random() < 0.1 else "", "utf-8", "surrogatepass")
    _reports(random_, folder / "reports")
    (folder / "environments" / "e.yaml").write_text(mutated(random_, definition), "utf-8", "surrogatepass")
    if random_.random() < 0.4:
        kind = random_.choice(KINDS)
        (folder / "templates/kinds" / kind.name).write_text(mutated(random_, kind.read_text("utf-8")), "utf-8")
    if random_.random() < 0.2:
        template = random_.choice(TEMPLATES)
        (folder / "templates/kubernetes").mkdir()
        (folder / "templates/kubernetes" / template.name).write_text(_templated(random_, template.read_text("utf-8")), "utf-8")
    if random_.random() < 0.3:
        (folder / "compose.yaml").write_text(mutated(random_, COMPOSE), "utf-8")
    for name in random_.sample(["orders", "seeds", "Dockerfile", ".dockerignore", "go.mod", "Gemfile", "package.json", ".env.example"], 3):
        _odd(random_, folder, name)
    return random_.choice(COMMANDS).split()


def _reports(random: random.Random, folder: Path) -> None:
    folder.mkdir()
    (folder / "a.xml").write_text(mutated(random, JUNIT, XML_PIECES), "utf-8", "surrogatepass")
    (folder / "status.json").write_text(mutated(random, STATUS), "utf-8", "surrogatepass")
    _odd(random, folder, "db.log")


def _templated(random: random.Random, text: str) -> str:
    """Return a template with random loops, expressions and assignments inserted, and then mutated."""
    for _ in range(random.randint(0, 3)):
        found, start = expression(random), random.randrange(len(text) + 1)
        loop = f"{{% for a in {found} %}}{{{{ {expression(random)} }}}}{{% endfor %}}"
        text = text[:start] + random.choice([f"{{{{ {found} }}}}", loop * 2, f"{{% set b = {found} %}}"]) + text[start:]
    return mutated(random, text)


def _grown(random: random.Random) -> str:
    env = "".join(f'      A{n}: "${{{expression(random)}}}"\n' for n in range(random.randint(1, 8)))
    variables = f'variables:\n  x: "{random.choice(PIECES[-8:-4])}"\n'
    return f"name: e\n{variables}services:\n  db: {{kind: postgres}}\n  a:\n    image: x\n    port: 80\n    env:\n{env}"


def _odd(random: random.Random, folder: Path, name: str) -> None:
    """Create something unusual at the path of a file: a link in a circle or to the outside, a pipe, a folder, or odd text."""
    path = folder / name
    choice = random.randrange(5)
    if choice < 2:
        path.symlink_to(random.choice([".", "..", "/dev/zero", "/etc", name, "nowhere"]))
    elif choice == 2:
        os.mkfifo(path)
    elif choice == 3:
        path.mkdir()
    else:
        path.write_text(mutated(random, random.choice(PIECES) * random.choice([1, 1000])), "utf-8")
