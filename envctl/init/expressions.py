"""Meanings -> the expressions of the definition."""

from __future__ import annotations

from envctl.init.meaning import SQL, Meaning

ACCEPTED = {"postgres": ("postgres", "postgresql"), "mariadb": ("mysql",)}
OWN_SCHEME = {"postgres": "postgresql", "mariadb": "mysql"}
PROPERTY = {
    ("kafka", "servers"): "bootstrap",
    ("kafka", "url"): "bootstrap",
    ("nats", "servers"): "url",
    ("elasticsearch", "servers"): "url",
}
BARE = {
    "mongo": "mongodb",
    "mail": "smtp",
    "valkey": "redis",
    "postgres": "postgresql",
    "mariadb": "mysql",
    "rabbitmq": "amqp",
}
"""Schemes for servers of a Compose file of which envctl knows no more than where they are."""


def expression(found: Meaning, server: str, kind: str, *, known: bool, first: str) -> str:
    """What the variable gets; empty where *server* has no such property.

    Args:
        known: it is of a kind of ours; else its host and port are all that there is.
        first: the first database of the server, which `${db.url}` is about.
    """
    if found.property in ("host", "port"):
        return f"${{{server}.{found.property}}}"
    if not known:
        return _bare(found, server, kind)
    if kind == "memcached" and found.property == "servers":
        return f"${{{server}.host}}:${{{server}.port}}"
    if kind == "valkey" and found.property == "url" and found.item not in ("", "0") and found.item.isdigit():
        return (
            f"redis://${{{server}.username|urlencode}}:${{{server}.password|urlencode}}@${{{server}.host}}:${{{server}.port}}/{found.item}"
        )
    if found.property == "bucket":
        return f'${{{server}.buckets["{found.item}"].name}}' if found.item else ""
    return _property(found, server, kind, first)


def _property(found: Meaning, server: str, kind: str, first: str) -> str:
    prop = PROPERTY.get((kind, found.property), found.property)
    owner = server
    if kind in SQL and found.item not in ("", first) and prop in ("url", "jdbc_url", "database"):
        owner = f'{server}.databases["{found.item}"]'
    text = f"{owner}.{prop}"
    scheme = found.scheme
    if prop == "url" and kind in SQL and scheme and scheme not in ACCEPTED[kind]:
        text += f"|replace('{OWN_SCHEME[kind]}://', '{scheme}://')"
    return f"${{{text}}}{found.query.replace('${', '$${')}"


def _bare(found: Meaning, server: str, kind: str) -> str:
    where = f"${{{server}.host}}:${{{server}.port}}"
    if found.property == "endpoint" or (kind == "elasticsearch" and found.property in ("url", "servers")):
        return f"http://{where}"
    if found.property == "servers" or kind == "kafka":
        return where
    if found.property == "url" and kind in BARE and kind not in (*SQL, "rabbitmq"):
        return f"{BARE[kind]}://{where}" + (f"/{found.item}" if found.item and kind == "mongo" else "")
    return ""
