"""Escaping of values so that a server reads back the same bytes: one pure function for each notation.

`FILTERS` has the names under which the templates of kinds use the functions: `${ self.password|sql_text }`.
"""

from __future__ import annotations

import base64
import hashlib
import json as _json
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

# The number that mosquitto_passwd uses. A broker for tests gains nothing from more rounds.
_MOSQUITTO_ROUNDS = 1000
_MYSQL_ESCAPES = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z", "\\": "\\\\", "'": "''"}


def _without_nul(value: object, where: str) -> str:
    text = str(value)
    if "\0" in text:
        raise ValueError(f"{where} cannot hold a NUL character")
    return text


def urlencode(value: object) -> str:
    """Percent-encode everything but RFC 3986's unreserved characters, for use in userinfo, path segments and queries."""
    return quote(str(value), safe="")


def userinfo(username: object, password: object) -> str:
    """Return the part of a URL before its host, including the `@`; an empty text if there is neither a name nor a password."""
    given = f":{urlencode(password)}" if password not in (None, "") else ""
    return f"{urlencode(username or '')}{given}@" if username or given else ""


def sql_text(value: object) -> str:
    """Return a string literal of standard SQL, as PostgreSQL reads it. Raise ValueError for NUL, which no literal can contain."""
    return "'" + _without_nul(value, "a PostgreSQL text").replace("'", "''") + "'"


def sql_line(value: object) -> str:
    """Return a string literal of PostgreSQL on one line, for a server that reads one statement per line. Raise ValueError for NUL."""
    text = _without_nul(value, "a PostgreSQL text").replace("\\", "\\\\").replace("'", "''")
    return "E'" + text.replace("\n", "\\n").replace("\r", "\\r") + "'"


def sql_name(value: object) -> str:
    """Return a quoted identifier of PostgreSQL. Raise ValueError for NUL."""
    return '"' + _without_nul(value, "a PostgreSQL name").replace('"', '""') + '"'


def sql_table(value: object) -> str:
    """Return the quoted name of a table of PostgreSQL, which may include a schema: `public.orders`. Raise ValueError for NUL."""
    return ".".join(sql_name(part) for part in str(value).split("."))


def conninfo(value: object) -> str:
    """Return a quoted value for a connection string of PostgreSQL. Raise ValueError for NUL."""
    return "'" + re.sub(r"(['\\])", r"\\\1", _without_nul(value, "a connection string")) + "'"


def mysql_text(value: object) -> str:
    """Return a string literal of MariaDB and MySQL in their default SQL mode, on one line."""
    return "'" + "".join(_MYSQL_ESCAPES.get(char, char) for char in str(value)) + "'"


def mysql_name(value: object) -> str:
    """Return a quoted identifier of MariaDB and MySQL. Raise ValueError for NUL."""
    return "`" + _without_nul(value, "a MariaDB name").replace("`", "``") + "`"


def mysql_table(value: object) -> str:
    """Return the quoted name of a table of MariaDB, which may include a database: `shop.orders`. Raise ValueError for NUL."""
    return ".".join(mysql_name(part) for part in str(value).split("."))


def mysql_grant(value: object) -> str:
    """Return a database name for GRANT, with the wildcards `_` and `%` escaped: `ON ${name|mysql_grant}.*`. Raise ValueError for NUL."""
    return mysql_name(re.sub(r"([_%\\])", r"\\\1", str(value)))


def hex_bytes(value: object) -> str:
    r"""Return a double-quoted text with every byte as `\xHH`, for the configuration files of Valkey, Redis and NATS."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in str(value).encode()) + '"'


def _salt(value: str, size: int) -> bytes:
    """Return *size* bytes that depend on *value* only, since rendering twice must give the same bytes."""
    return hashlib.sha256(b"envctl salt " + value.encode()).digest()[:size]


def rabbitmq_hash(value: object) -> str:
    """Return the `password_hash` of RabbitMQ for `rabbit_password_hashing_sha256`."""
    salt = _salt(str(value), 4)
    return base64.b64encode(salt + hashlib.sha256(salt + str(value).encode()).digest()).decode()


def mosquitto_hash(value: object) -> str:
    """Return the second field of a line in Mosquitto's password file: `$7$rounds$salt$PBKDF2-SHA512`."""
    salt = _salt(str(value), 12)
    digest = hashlib.pbkdf2_hmac("sha512", str(value).encode(), salt, _MOSQUITTO_ROUNDS)
    return f"$7${_MOSQUITTO_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def htpasswd_hash(value: object) -> str:
    """Return the hash of a password for an htpasswd file, as `{SSHA}`. Unlike bcrypt, it uses every byte, not only the first 72."""
    salt = _salt(str(value), 8)
    return "{SSHA}" + base64.b64encode(hashlib.sha1(str(value).encode() + salt).digest() + salt).decode()


def nats_password(value: object) -> str:
    """Return a password for a NATS configuration file. A password that NATS would take for a bcrypt hash is replaced by its bcrypt hash."""
    text = str(value)
    return hex_bytes(_bcrypt(text) if text.startswith("$2") else text)


def _bcrypt(text: str) -> str:
    """Return a bcrypt hash of *text* with the lowest cost (the environment contains the secret anyway) and a salt derived from *text*."""
    import bcrypt

    salt = base64.b64encode(_salt(text, 16), altchars=b"./").decode()[:21] + "."
    return bcrypt.hashpw(text.encode()[:72], b"$2a$04$" + salt.encode()).decode()


def multiline(value: object) -> bool:
    """Return whether *value* has more than one line, so that a program which reads only the first line of a file would lose a part."""
    return "\n" in str(value) or "\r" in str(value)


def sha256(value: object) -> str:
    """Return the hexadecimal SHA-256, which an access list of Valkey or Redis contains for a password (`#...`)."""
    return hashlib.sha256(str(value).encode()).hexdigest()


def json(value: object) -> str:
    """Return JSON in ASCII on one line, which every file encoding preserves."""
    return _json.dumps(value)


def kafka_create_topic(topic: Mapping[str, Any]) -> str:
    """Return Kafka's CreateTopics request (version 4) for one topic, escaped for `printf` of bash.

    The broker's defaults apply to partitions and configuration that *topic* does not set.
    """

    def text(value: object) -> bytes:
        encoded = _plain(value).encode()
        return struct.pack(">h", len(encoded)) + encoded

    config = topic.get("config") or {}
    settings = b"".join(text(name) + text(value) for name, value in config.items())
    of_broker = -1
    body = struct.pack(">i", 1) + text(topic["name"])
    body += struct.pack(">ihii", topic.get("partitions") or of_broker, of_broker, 0, len(config)) + settings
    milliseconds = 15_000
    body += struct.pack(">i?", milliseconds, False)
    create_topics, version, correlation = 19, 4, 1
    request = struct.pack(">hhi", create_topics, version, correlation) + text("envctl") + body
    return "".join(f"\\x{byte:02x}" for byte in struct.pack(">i", len(request)) + request)


def shell(value: object) -> str:
    """Return *value* as one word of a POSIX shell. Raise ValueError for NUL."""
    return "'" + _without_nul(value, "a shell word").replace("'", "'\\''") + "'"


def derived(secret: object, purpose: object) -> str:
    """Return another secret that depends on *secret* and *purpose* only: 32 hexadecimal digits."""
    return hashlib.sha256(f"{secret}\0{purpose}".encode()).hexdigest()[:32]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def options(values: Mapping[str, object], flag: str) -> list[str]:
    """Return the arguments `FLAG name=value` for each item. A flag that ends in `-` becomes a prefix: `--` gives `--name=value`."""
    words = [f"{name}={_plain(value)}" for name, value in values.items()]
    return [flag + word for word in words] if flag.endswith("-") else [part for word in words for part in (flag, word)]


def mysql_columns(columns: Sequence[object], binary: Sequence[object]) -> str:
    """Return the column list of LOAD DATA. The data contains the *binary* columns as hexadecimal digits."""
    names = ", ".join(f"@b{number}" if column in binary else mysql_name(column) for number, column in enumerate(columns))
    made = ", ".join(f"{mysql_name(column)} = UNHEX(@b{number})" for number, column in enumerate(columns) if column in binary)
    return f"({names})" + (f" SET {made}" if made else "")


def words(values: Sequence[object], quoting: str) -> str:
    """Return the *values*, each escaped by the filter *quoting*, joined by `, `."""
    return ", ".join(FILTERS[quoting](value) for value in values)


FILTERS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        urlencode,
        userinfo,
        sql_text,
        sql_line,
        sql_name,
        sql_table,
        conninfo,
        mysql_text,
        mysql_name,
        mysql_table,
        mysql_grant,
        mysql_columns,
        hex_bytes,
        rabbitmq_hash,
        mosquitto_hash,
        htpasswd_hash,
        nats_password,
        multiline,
        sha256,
        json,
        kafka_create_topic,
        shell,
        derived,
        options,
        words,
    )
}
