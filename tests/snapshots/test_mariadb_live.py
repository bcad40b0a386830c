"""Test a MariaDB server of envctl's own kind that starts from its snapshot, on Docker."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql
import pytest

from tests.support import REQUIRED, Project, command, missing

ENVIRONMENT = "services: {db: {kind: mariadb}}\noutputs: {URL: '${db.url}'}\n"
CLIENT = 'mariadb --no-defaults -h127.0.0.1 -u"$ENVCTL_USERNAME" -p"$ENVCTL_PASSWORD" -Ne "show status like \'Ssl_version\'"'


@pytest.mark.skipif("docker" in missing and "docker" not in REQUIRED, reason=f"no Docker here: {missing.get('docker')}")
def test_it_speaks_tls_with_the_certificate_of_the_snapshot_and_has_a_log_of_the_usual_size(tmp_path: Path) -> None:
    project = Project(tmp_path / "envctl-tests", "docker")
    env = {"ENVCTL_NO_SNAPSHOTS": "", "XDG_CACHE_HOME": str(tmp_path / "cache"), "ENVCTL_ENGINE": "docker"}
    project.environment("maria", ENVIRONMENT)

    def run(*words: str) -> str:
        return command(list(words), project.folder, env).ok().out

    try:
        assert run("snapshots", "build", "maria").startswith("kept maria/db")
        at = urlsplit(command(["up", "maria", "--json"], project.folder, env).ok().json["outputs"]["URL"])
        login = {"user": at.username, "password": unquote(at.password or ""), "database": at.path[1:]}
        with pymysql.connect(host="127.0.0.1", port=at.port or 0, **login) as connection, connection.cursor() as cursor:
            cursor.execute("select @@ssl_cert, @@innodb_log_file_size")
            certificate, size = cursor.fetchone()
        assert certificate == "/var/lib/envctl/mysql/envctl-tls.crt"
        assert size == 96 << 20
        # This client version requires TLS and a certificate that matches the password.
        assert run("exec", "maria", "db", "--", "sh", "-c", CLIENT).split() == ["Ssl_version", "TLSv1.3"]
    finally:
        run("down", "--all")
        run("snapshots", "--prune")
