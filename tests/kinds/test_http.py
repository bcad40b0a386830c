"""Kinds that answer HTTP: files, stubs, the page for mail, and the team's own programs."""

from __future__ import annotations

import smtplib
from base64 import b64encode
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.auth import HTTPBasicAuth

from tests.kinds.listening import listens_here_alone
from tests.kinds.support import PASSWORD, USERNAME, Running, Url, bring_up, eventually, refused, text
from tests.support import Project

MAIL_USER = f"{USERNAME.replace(' ', '_')}@example.org"

SERVICES = f"""
services:
  site: {{kind: web, with: {{root: pages}}, expose: true}}
  sites: {{kind: nginx, with: {{root: [pages/sub, pages/index.html]}}}}
  proxy: {{kind: web, with: {{config: proxy.conf}}, needs: [site]}}
  front: {{kind: web, with: {{root: pages, proxy: {{/api/: "${{payments.url}}", /api/deep/: "${{payments.url}}/more/"}}}}}}
  open-mail: {{kind: mail, with: {{password: ""}}}}
  mail: {{kind: mail, with: {{username: {text(MAIL_USER)}, password: {text(PASSWORD)}}}}}
  payments: {{kind: stub, with: {{routes: [stubs/one.json, stubs/more]}}, expose: {{host: pay, path: /v1}}}}
  built:
    kind: api
    build: ./program
    port: 8000
    ready: {{http: /healthz}}
    env: {{GREETING: {text(PASSWORD)}, PAYMENTS_URL: "${{payments.url}}", BIND: "${{self.bind}}", PORT: "${{self.port}}"}}
  plain:
    kind: api
    image: python:3.13-slim
    run: python3 -u -m http.server --bind ${{self.bind}} --directory ${{self.prefix}}/srv ${{self.port}}
    port: 8080
    files: {{/srv/data/: pages, /srv/one.bin: pages/pixel.bin}}
    needs: {{once: done}}
  once: {{kind: job, image: "python:3.13-slim", run: [python3, -c, "print('migrated')"]}}
"""
OUTPUTS = {
    "OPEN_SMTP": "${open-mail.url}",
    "OPEN_API": "${open-mail.api_url}",
    "SITE": "${site.url}",
    "SITES": "${sites.url}",
    "PROXY": "${proxy.url}",
    "SITE_SHOWN": "${site.public_url}",
    "PAYMENTS_SHOWN": "${payments.public_url}",
    "FRONT": "${front.url}",
    "SMTP": "${mail.url}",
    "MAIL_API": "${mail.api_url}",
    "PAYMENTS": "${payments.url}",
    "PAYMENTS_ADMIN": "${payments.admin_url}",
    "BUILT": "${built.url}",
    "PLAIN": "${plain.url}",
}
BINARY = bytes(range(256)) * 40
PROGRAM = """
import json, os, http.server, urllib.request
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = {"greeting": os.environ["GREETING"], "paid": None}
        if self.path == "/pay":
            said["paid"] = json.load(urllib.request.urlopen(os.environ["PAYMENTS_URL"] + "/v1/charges"))
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((os.environ["BIND"], int(os.environ["PORT"])), Answers).serve_forever()
"""
STUB = """
{"mappings": [
  {"request": {"method": "GET", "urlPath": "/v1/charges"}, "response": {"status": 200, "jsonBody": {"id": "ch_1"}}},
  {"request": {"method": "POST", "urlPath": "/v1/charges", "bodyPatterns": [{"matchesJsonPath": "$.declined"}]},
   "response": {"status": 402, "body": "declined"}}
]}
"""
NGINX = """
server {
  listen 80;
  location / { proxy_pass http://site; add_header X-Via proxy; }
}
"""


@pytest.fixture(scope="module")
def up(home: Project) -> Running:
    home.write("environments/pages/index.html", "<h1>Grüße $HOME ${x}</h1>\n")
    home.write("environments/pages/sub/style.css", "h1 { color: red }\n")
    (home.folder / "environments/pages/pixel.bin").write_bytes(BINARY)
    home.write("environments/proxy.conf", NGINX)
    home.write("environments/stubs/one.json", STUB)
    route = '{"request": {"urlPathPattern": "/more/[0-9]+"}, "response": {"status": 200, "bodyFileName": "answer.txt"}}'
    home.write("environments/stubs/more/mappings/two.json", route)
    home.write("environments/stubs/more/__files/answer.txt", "from a file: ü")
    home.write("environments/program/main.py", PROGRAM)
    home.write("environments/program/Dockerfile", 'FROM python:3.13-slim\nCOPY main.py /main.py\nCMD ["python3", "-u", "/main.py"]\n')
    return bring_up(home, "http", SERVICES if home.engine != "local" else as_processes(SERVICES), OUTPUTS)


def as_processes(services: str) -> str:
    """Replace what local processes do not support: the Dockerfile's command, and an nginx configuration (other tests check its refusal)."""
    return services.replace("build: ./program", "build: ./program\n    run: python3 -u main.py").replace(
        "with: {config: proxy.conf}", "with: {}"
    )


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_files_are_served(up: Running, http: requests.Session) -> None:
    page = http.get(up["SITE"], timeout=10)
    assert page.content.decode() == "<h1>Grüße $HOME ${x}</h1>\n"
    assert page.headers["Content-Type"] == "text/html"
    assert http.get(f"{up['SITE']}/pixel.bin", timeout=10).content == BINARY
    assert http.get(f"{up['SITE']}/sub/style.css", timeout=10).headers["Content-Type"] == "text/css"
    assert http.get(f"{up['SITE']}/nothing", timeout=10).status_code == 404


def test_what_is_exposed_is_known_by_its_host(up: Running, http: requests.Session) -> None:
    if up.project.engine == "kubernetes":
        pytest.skip("a cluster's own controller stands there")

    def shown(url: str, path: str) -> requests.Response:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.hostname.endswith(".localhost")
        return http.get(f"http://127.0.0.1:{parts.port}{path}", headers={"Host": parts.netloc}, timeout=10)

    assert "Grüße" in shown(up["SITE_SHOWN"], "/").content.decode()
    assert shown(up["PAYMENTS_SHOWN"], "/v1/charges").json() == {"id": "ch_1"}
    assert shown(up["PAYMENTS_SHOWN"], "/v10").status_code == 404
    assert shown("http://nobody.localhost:" + str(urlsplit(up["SITE_SHOWN"]).port), "/").status_code == 404


def test_several_folders_and_files_are_served_as_one(up: Running, http: requests.Session) -> None:
    assert http.get(f"{up['SITES']}/style.css", timeout=10).status_code == 200
    assert "Grüße" in http.get(f"{up['SITES']}/index.html", timeout=10).content.decode()


def test_a_configuration_of_the_project(up: Running, http: requests.Session) -> None:
    if up.project.engine == "local":
        pytest.skip("nginx does not run here")
    page = http.get(up["PROXY"], timeout=10)
    assert "Grüße" in page.content.decode()
    assert page.headers["X-Via"] == "proxy"


def test_other_services_behind_the_same_address(up: Running, http: requests.Session) -> None:
    charges = f"{up['FRONT']}/api/v1/charges"
    assert "Grüße" in http.get(up["FRONT"], timeout=10).content.decode()
    assert http.get(charges, timeout=10).json() == {"id": "ch_1"}
    assert http.post(charges, json={"declined": True}, timeout=10).status_code == 402
    assert http.get(f"{up['FRONT']}/api/deep/42?x=1", timeout=10).content.decode() == "from a file: ü"


def test_a_stub_answers_as_its_routes_say(up: Running, http: requests.Session) -> None:
    charges = f"{up['PAYMENTS']}/v1/charges"
    assert http.get(charges, timeout=10).json() == {"id": "ch_1"}
    assert http.post(charges, json={"declined": True}, timeout=10).status_code == 402
    assert http.post(charges, json={}, timeout=10).status_code == 404
    assert http.get(f"{up['PAYMENTS']}/more/42", timeout=10).content.decode() == "from a file: ü"
    journal = http.get(f"{up['PAYMENTS_ADMIN']}/requests", timeout=10).json()["requests"]
    assert sum(entry["request"]["url"] == "/v1/charges" for entry in journal) >= 3


def test_an_api_that_was_built(up: Running, http: requests.Session) -> None:
    assert http.get(f"{up['BUILT']}/pay", timeout=10).json() == {"greeting": PASSWORD, "paid": {"id": "ch_1"}}


def test_an_api_from_an_image(up: Running, http: requests.Session) -> None:
    assert http.get(f"{up['PLAIN']}/one.bin", timeout=10).content == BINARY
    assert http.get(f"{up['PLAIN']}/data/pixel.bin", timeout=10).content == BINARY
    assert http.get(f"{up['PLAIN']}/data/sub/style.css", timeout=10).text == "h1 { color: red }\n"


def test_a_job_is_done(up: Running) -> None:
    assert up.shown["services"]["once"]["state"] == "done"
    assert up.shown["state"] == "seeded"
    assert up.project.envctl("logs", up.name, "once").ok().out == "migrated\n"
    assert up.project.envctl("status", up.name, "--json").ok().json["services"]["once"]["state"] == "done"


def mails(up: Running, http: requests.Session, subject: str) -> list[Any]:
    at = Url.of(up["MAIL_API"])
    # requests would encode str as Latin-1.
    http.auth = HTTPBasicAuth(at.username.encode(), at.password.encode())
    api = f"http://{at.host}:{at.port}/{at.path}"
    found = http.get(f"{api}/search", params={"query": f'subject:"{subject}"'}, timeout=10)
    found.raise_for_status()
    return [http.get(f"{api}/message/{mail['ID']}", timeout=10).json() for mail in found.json()["messages"]]


def sent(up: Running, username: str, password: str, subject: str) -> None:
    at = Url.of(up["SMTP"])
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.org", "ann@example.org", subject
    mail.set_content("Vielen Dank für 3 € …\n")
    with smtplib.SMTP(at.host, at.port, timeout=10) as client:
        client.ehlo()
        # smtplib's own login accepts ASCII only.
        code, words = client.docmd("AUTH", "PLAIN " + b64encode(f"\0{username}\0{password}".encode()).decode())
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, words)
        client.send_message(mail)


def test_a_mail_is_sent_and_read(up: Running, http: requests.Session) -> None:
    at = Url.of(up["SMTP"])
    assert (at.username, at.password) == (MAIL_USER, PASSWORD)
    sent(up, at.username, at.password, "Bestellung №1")
    (mail,) = eventually(lambda: mails(up, http, "Bestellung №1"), "the mail")
    assert mail["To"] == [{"Address": "ann@example.org", "Name": ""}]
    assert mail["Text"] == "Vielen Dank für 3 € …\r\n"
    assert mail["Username"] == MAIL_USER


def test_mail_without_a_password_is_taken_from_everybody(up: Running, http: requests.Session) -> None:
    """A client that logs in is accepted as well, because many applications always log in."""
    at = Url.of(up["OPEN_SMTP"])
    assert (at.username, at.password) == ("", "")
    with smtplib.SMTP(at.host, at.port, timeout=10) as client:
        client.sendmail("shop@example.org", ["ann@example.org"], "Subject: one\n\nwithout\n")
        client.login("anybody", "anything")
        client.sendmail("shop@example.org", ["ann@example.org"], "Subject: two\n\nwith\n")
    page = f"{up['OPEN_API']}/messages"
    eventually(lambda: len(http.get(page, timeout=10).json()["messages"]) == 2 or None, "both mails")


@pytest.mark.parametrize("wrong", [(MAIL_USER, "wrong"), ("somebody", PASSWORD), ("", "")])
def test_wrong_credentials_for_mail_are_refused(up: Running, http: requests.Session, wrong: tuple[str, str]) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError):
        sent(up, *wrong, "never")
    at = Url.of(up["MAIL_API"])
    answer = http.get(
        f"http://{at.host}:{at.port}/{at.path}/messages", auth=HTTPBasicAuth(wrong[0].encode(), wrong[1].encode()), timeout=10
    )
    assert answer.status_code == 401


def test_mail_without_a_login_is_refused(up: Running, http: requests.Session) -> None:
    at = Url.of(up["SMTP"])
    with smtplib.SMTP(at.host, at.port, timeout=10) as client, pytest.raises(smtplib.SMTPException):
        client.sendmail("a@example.org", ["b@example.org"], "Subject: never\n\n")
    at = Url.of(up["MAIL_API"])
    assert http.get(f"http://{at.host}:{at.port}/{at.path}/messages", timeout=10).status_code == 401


def test_what_mail_does_not_take_is_refused(home: Project) -> None:
    refused(home, "mail", "username", ["a:b", "a b", "a\nb", ""], "No colons, spaces or control characters")


def test_default_outputs(up: Running) -> None:
    assert up.defaults_of("site").keys() == {"host", "port", "url"}
    assert up.defaults_of("payments").keys() == {"host", "port", "url", "admin_url"}
    assert up.defaults_of("built").keys() == {"host", "port", "url"}
    assert up.defaults_of("once") == {}
    found = up.defaults_of("mail")
    assert found.keys() == {"host", "port", "url", "username", "password", "web_url", "web_port", "api_url"}
    assert (found["username"], found["password"]) == (MAIL_USER, PASSWORD)


def test_processes_listen_on_loopback_alone(up: Running) -> None:
    listens_here_alone(up)
