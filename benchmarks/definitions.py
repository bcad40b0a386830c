"""Generate a definition of many services that refer to each other."""

from __future__ import annotations

from pathlib import Path

FIVE = """\
  db{n}: {{kind: postgres, with: {{databases: [app, audit]}}}}
  cache{n}: {{kind: valkey}}
  events{n}: {{kind: nats}}
  mail{n}: {{kind: mail}}
  api{n}:
    kind: api
    image: example/api:1.0
    port: 8000
    ready: {{http: /healthz}}
    env: {{DATABASE_URL: "${{db{n}.url}}", CACHE_URL: "${{cache{n}.url}}", EVENTS_URL: "${{events{n}.url}}", SMTP_URL: "${{mail{n}.url}}"}}
"""


def large(folder: Path, services: int = 500) -> Path:
    """Write a definition with the given number of *services*, a fifth of them the team's own, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "large.yaml"
    path.write_text("name: large\nservices:\n" + "".join(FIVE.format(n=n) for n in range(services // 5)), "utf-8")
    return path
