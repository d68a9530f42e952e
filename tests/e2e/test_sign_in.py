"""People sign in at the gateway by their company's provider, and work with what they get, by command and by program.

The provider is somebody else's (a package), and so is everything between; the browser is ``tests.support.user_agent``
(a real one: ``test_browsers``).
"""

from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from typer.testing import CliRunner, Result

from countersign.cli.loopback import Receiver
from countersign.cli.main import app
from countersign.demo import orders
from countersign.demo.serving import ThreadedServer
from countersign.identity.sign_in import challenge_of
from tests.support.gateway import Gateway, Setup, Upstream, wait_until
from tests.support.in_turn import InTurn
from tests.support.oidc_provider import running_provider, sign_in
from tests.support.user_agent import Page, UserAgent

CREDENTIAL = "orders-" + "credential"
RULES = (
    {"name": "analysts read", "allow": {"groups": ["analysts"], "targets": ["orders"], "tools": ["get_customer"]}},
)
PEOPLE = {"alice": ("analysts", "auditors"), "mallory": ()}
_SAID_S = 30.0


@dataclass(frozen=True)
class Place:
    """A gateway with a portal, its provider, and a folder for what commands keep."""

    gateway: Gateway
    issuer: str
    state: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "countersign.cli.main", *arguments, "--gateway", self.gateway.url]

    def environment(self, who: str = "alice") -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.state / who), "XDG_STATE_HOME": str(self.state / who)}

    def run(self, *arguments: str, who: str = "alice") -> Result:
        """Run a command that needs nothing of a process of its own, in this one."""
        return CliRunner().invoke(app, [*arguments, "--gateway", self.gateway.url], env=self.environment(who))

    def begin(self, *arguments: str, who: str = "alice") -> Command:
        said = self.state / f"{who}-{len(arguments)}-{arguments[-1].strip('-')}.err"
        with said.open("wb") as file:
            process = subprocess.Popen(
                self.command(*arguments), env=self.environment(who), stdout=subprocess.PIPE, stderr=file, text=True
            )
        return Command(process, said)


@dataclass
class Command:
    """A command that goes on, and the file into which it says what it needs."""

    process: subprocess.Popen[str]
    said: Path

    def wait_for(self, pattern: str) -> str:
        wait_until(
            lambda: bool(re.search(pattern, self.said.read_text())),
            _SAID_S,
            lambda: AssertionError(self.said.read_text()),
        )
        found = re.search(pattern, self.said.read_text())
        assert found is not None
        return found[1]

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def place(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    shop = tmp_path_factory.mktemp("shop")
    with running_provider(PEOPLE) as issuer, ThreadedServer(orders.app(shop, CREDENTIAL)) as target:
        secret = tmp_path_factory.mktemp("secret") / "client"
        secret.touch(mode=0o600)
        secret.write_text("client-" + "secret")
        portal = {"oidc": [{"issuer": issuer, "client_id": "countersign", "client_secret": {"file": str(secret)}}]}
        upstreams = {"orders": Upstream(f"{target.url}/mcp", CREDENTIAL, {"new_tools": "allow"})}
        # As whoever adds sign-in to a gateway that runs.
        gateway = in_turn.take(Setup(issuer, upstreams, RULES, {}, {"portal": portal}))
        keys = f"{gateway.url}/portal/jwks"
        wait_until(lambda: httpx.get(keys).is_success, _SAID_S, lambda: AssertionError(gateway.output()))
        yield Place(gateway, issuer, tmp_path_factory.mktemp("state"))


@pytest.fixture
def agent() -> Iterator[UserAgent]:
    found = UserAgent()
    yield found
    found.close()


def let_in(agent: UserAgent, page: Page) -> Page:
    """Press the button that lets the program in."""
    [form] = [one for one in page.forms if ("answer", "yes") in one.buttons]
    return agent.submit(page, form, ("answer", "yes"))


def test_a_person_signs_in_once_and_commands_need_no_token(place: Place, agent: UserAgent) -> None:
    login = place.begin("login", "--no-browser", "--json")
    page = agent.open(login.wait_for(r"(http://\S+/portal/authorize\?\S+)"))
    assert page.url.startswith(place.issuer), "where there is one provider, the browser goes there at once"
    asked = sign_in(agent, page, "alice")
    assert "127.0.0.1" in asked.text
    done = let_in(agent, asked)
    assert done.answer.status_code == 200
    assert "/callback?" in done.url
    code, said = login.end()
    assert code == 0, login.said.read_text()
    who = json.loads(said)
    assert (who["subject"], who["issuer"], who["groups"]) == ("alice", place.issuer, ["analysts", "auditors"])

    called = place.run("call", "get_customer", "customer_id=7", "--target", "orders")
    assert called.exit_code == 0, called.stderr
    listed = place.run("sessions", "--json")
    assert listed.exit_code == 0, listed.stderr
    session = json.loads(listed.stdout)["sessions"][0]
    assert (session["principal"]["issuer"], session["principal"]["subject"]) == (place.issuer, "alice")

    device = place.begin("login", "--device", who="elsewhere")
    link = device.wait_for(r"(http://\S+/portal/device)")
    shown = device.wait_for(r"type there: (\S+)")
    entered = agent.open(link)
    confirm = agent.submit(entered, entered.forms[-1], user_code=shown)
    assert "you began this there yourself" in confirm.text
    assert "let in" in let_in(agent, confirm).text

    [kept] = (place.state / "alice" / "countersign").glob("*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    secrets = secrets_of(agent, kept)
    code, _ = device.end()
    assert code == 0, device.said.read_text()
    assert "alice" in place.run("whoami", who="elsewhere").stdout

    assert place.run("logout").exit_code == 0
    assert place.run("whoami").exit_code == 1
    assert "login" in place.run("sessions").stderr
    assert place.run("whoami", who="elsewhere").exit_code == 0, "another grant of the same sign-in goes on"
    place.gateway.kill("portal")
    assert place.run("sessions", who="elsewhere").exit_code == 0, "authz knows the portal's tokens by itself"
    wait_until(lambda: httpx.get(f"{place.gateway.url}/portal/jwks").is_success, _SAID_S, AssertionError)
    written = "".join(
        file.read_text("utf-8", "replace") for file in place.gateway.state.glob("logs/*") if file.is_file()
    )
    assert "mcp orders" in written
    assert [one for one in secrets if one in written] == []


def secrets_of(agent: UserAgent, kept: Path) -> list[str]:
    """Everything that passed which opens something."""
    document = json.loads(kept.read_text())
    [sign_in_kept] = document.values()
    found = [sign_in_kept["refresh_token"], *(one["token"] for one in sign_in_kept["tokens"].values())]
    found += [str(cookie.value) for cookie in agent.http.cookies.jar if cookie.value]
    for answer in agent.seen:
        found += re.findall(r"[?&]code=([^&]+)", answer.headers.get("location", ""))
    assert len(found) > 4
    return found


def test_clients_find_the_portal_by_themselves(place: Place) -> None:
    url = place.gateway.url
    refused = httpx.post(place.gateway.endpoint())
    assert refused.status_code == 401
    metadata = re.search(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"])
    assert metadata is not None
    servers = httpx.get(metadata[1]).json()["authorization_servers"]
    assert servers == [f"{url}/portal", place.issuer]
    for path in (
        "/.well-known/oauth-authorization-server/portal",
        "/.well-known/openid-configuration/portal",
        "/portal/.well-known/openid-configuration",
    ):
        found = httpx.get(url + path).json()
        assert found["issuer"] == f"{url}/portal"
        assert found["code_challenge_methods_supported"] == ["S256"]
    keys = httpx.get(found["jwks_uri"]).json()
    assert len(jwt.PyJWKSet.from_dict(keys).keys) == 3


def test_who_has_no_rights_signs_in_and_still_has_none(place: Place, agent: UserAgent) -> None:
    login = place.begin("login", "--no-browser", "--resource", "orders", who="mallory")
    page = agent.open(login.wait_for(r"(http://\S+/portal/authorize\?\S+)"))
    let_in(agent, sign_in(agent, page, "mallory"))
    code, said = login.end()
    assert code == 0
    assert "mallory" in said
    assert place.run("call", "get_customer", "customer_id=7", "--target", "orders", who="mallory").exit_code == 1
    other = place.run("sessions", who="mallory")
    assert other.exit_code == 1, "a sign-in for one target gives no token for the record"
    assert "another resource" in other.stderr


def test_a_refresh_token_that_comes_twice_ends_what_its_thief_has_within_a_second(
    place: Place, agent: UserAgent
) -> None:
    url, verifier = place.gateway.url, "v" * 43
    receiver = Receiver("the-state", f"{url}/portal")
    program = {"client_id": "countersign-cli", "redirect_uri": receiver.redirect_uri}
    asked = {
        **program,
        "response_type": "code",
        "resource": place.gateway.endpoint(),
        "state": "the-state",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    let_in(agent, sign_in(agent, agent.open(f"{url}/portal/authorize?{urlencode(asked)}"), "alice"))
    answer = receiver.wait(_SAID_S)
    receiver.close()
    assert answer is not None

    def token(**form: str) -> httpx.Response:
        return httpx.post(f"{url}/portal/token", data={**program, **form})

    def refused(access_token: str) -> bool:
        headers = {"authorization": f"Bearer {access_token}", "accept": "application/json, text/event-stream"}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        return httpx.post(place.gateway.endpoint(), json=ping, headers=headers).status_code == 401

    first = token(grant_type="authorization_code", code=answer["code"], code_verifier=verifier).json()
    thiefs = token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert not refused(thiefs["access_token"])
    owners = token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (owners.status_code, owners.json()["error"]) == (400, "invalid_grant")
    began_s = time.monotonic()
    while not refused(thiefs["access_token"]):
        assert time.monotonic() - began_s < 1
    assert refused(first["access_token"])
    assert token(grant_type="refresh_token", refresh_token=thiefs["refresh_token"]).status_code == 400
    assert agent.open(f"{url}/portal/").answer.status_code == 200
    assert "not signed in" in agent.open(f"{url}/portal/").text


def test_pages_may_be_neither_framed_nor_scripted_and_cookies_are_for_browsers_alone(
    place: Place, agent: UserAgent
) -> None:
    page = agent.open(f"{place.gateway.url}/portal/")
    page = agent.open(f"{place.gateway.url}{page.links[-1]}")
    sign_in(agent, page, "alice")
    for answer in agent.seen:
        if not str(answer.url).startswith(place.gateway.url):
            continue
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        for cookie in answer.headers.get_list("set-cookie"):
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()
            assert "domain" not in cookie.lower()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/portal/%2e%2e/orders/mcp", 401),
        ("/portal/../orders/mcp", 401),
        ("/orders/../portal/jwks", 200),
        ("//portal//jwks", 200),
        ("/portal%2fjwks", 400),
        ("/portal/..%2forders/mcp", 400),
        ("/portal\\..\\orders/mcp", 401),
        ("/portal;/jwks", 404),
        ("/PORTAL/jwks", 404),
        ("/portalx", 404),
        ("/portal/jwks/", 404),
        ("/portal/.%00/jwks", 400),
    ],
)
def test_a_path_leads_past_nobody_who_has_to_agree(place: Place, path: str, status: int) -> None:
    """Sent as it stands: clients would straighten it."""
    host, port = place.gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        headers = (
            f"host: {host}:{port}\r\nx-forwarded-host: evil.test\r\nx-forwarded-proto: gopher\r\nconnection: close"
        )
        connection.sendall(f"GET {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert int(answer.split()[1]) == status
    assert b"evil" not in answer


def test_what_a_browser_says_of_hosts_leads_nowhere(place: Place) -> None:
    said = {"x-forwarded-host": "evil.test", "forwarded": "host=evil.test", "x-original-url": "/x"}
    for path in ("/portal/.well-known/openid-configuration", "/portal/", "/portal/device", "/portal/jwks"):
        answer = httpx.get(f"{place.gateway.url}{path}", headers=said)
        assert "evil" not in answer.text + str(answer.headers)
        assert answer.headers["cache-control"] == "no-store"
        rebound = httpx.get(f"{place.gateway.url}{path}", headers={"host": "evil.test"})
        assert rebound.status_code == 421
        assert "evil" not in rebound.text + str(rebound.headers)
