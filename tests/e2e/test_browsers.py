"""A real browser signs in at the gateway: by an OpenID Connect provider, and by a SAML provider of another site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.browser import Browsed, Step, browse
from tests.support.gateway import Gateway, Setup, Upstream, wait_until
from tests.support.in_turn import InTurn
from tests.support.oidc_provider import running_provider
from tests.support.saml_idp import running_idp

RULES = ({"name": "analysts", "allow": {"groups": ["analysts"], "targets": ["orders"]}},)
LET_IN = Step("button[name=answer][value=yes]")
_WITHIN_S = 30.0


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    oidc: str
    saml: str
    home: Path

    def login(self, *ways: str) -> tuple[subprocess.Popen[str], str]:
        """Begin to sign in; return the command, and the page that it asks its person to open."""
        command = [sys.executable, "-m", "countersign.cli.main", "login", "--no-browser", "--json", *ways]
        told = self.home / "told"
        with told.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--gateway", self.gateway.url],
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), "XDG_STATE_HOME": str(self.home)},
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        found: list[str] = []

        def said() -> bool:
            found[:] = re.findall(r"http://\S+/portal/authorize\?\S+", told.read_text())
            return bool(found)

        wait_until(said, _WITHIN_S, lambda: AssertionError(told.read_text()))
        return process, found[0]

    def signed_in(self, *steps: Step) -> tuple[dict[str, object], Browsed]:
        """Sign in by these steps; return who the command then says to be, and what the browser saw."""
        process, page = self.login()
        try:
            seen = browse(page, steps, self.home)
            said, _ = process.communicate(timeout=_WITHIN_S)
        finally:
            process.kill()
        assert process.returncode == 0
        return json.loads(said), seen


@pytest.fixture(scope="module")
def place(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("browsers")
    secret = folder / "client"
    secret.touch(mode=0o600)
    secret.write_text("client-" + "secret")
    people = {"alice": ("analysts",)}
    with (
        running_provider(people) as issuer,
        running_idp(folder, sign="both", host="localhost") as idp,
        # Chromium's sockets have short paths alone.
        tempfile.TemporaryDirectory(prefix="cs-") as home,
    ):
        oidc = {"issuer": issuer, "client_id": "countersign", "client_secret": {"file": str(secret)}}
        upstreams = {"orders": Upstream("http://127.0.0.1:9/mcp")}
        portal = {"portal": {"oidc": [oidc], "saml": [idp.entry()]}}
        gateway = in_turn.take(Setup(issuer, upstreams, RULES, {}, portal))
        metadata = f"{gateway.url}/portal/saml/company/metadata"
        wait_until(lambda: httpx.get(metadata).is_success, _WITHIN_S, lambda: AssertionError(gateway.output()))
        idp.know(httpx.get(metadata).content)
        yield Place(gateway, issuer, idp.entity_id, Path(home))


def complaints(place: Place, seen: Browsed) -> list[str]:
    """What the browser found wrong with the gateway's own pages, such as what their policy forbids."""
    return [said for said in seen.complaints if said.startswith(place.gateway.url)]


def our_cookies(seen: Browsed) -> list[dict[str, object]]:
    return [dict(cookie) for cookie in seen.cookies if str(cookie["name"]).startswith("countersign")]


def test_a_browser_signs_in_by_openid_connect(place: Place) -> None:
    who, seen = place.signed_in(Step("a[href*='oidc']"), Step("button[name=sub][value=alice]"), LET_IN)
    assert (who["subject"], who["issuer"], who["groups"]) == ("alice", place.oidc, ["analysts"])
    assert "/callback?" in seen.pages[-1].url
    assert complaints(place, seen) == []


def test_a_browser_signs_in_by_saml_from_another_site(place: Place) -> None:
    who, seen = place.signed_in(Step("a[href*='saml']"), Step("form button", {"input[name=user]": "alice"}), LET_IN)
    assert (who["subject"], who["issuer"]) == ("alice@example.com", place.saml)
    assert "/callback?" in seen.pages[-1].url
    assert complaints(place, seen) == []
    assert our_cookies(seen)
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in our_cookies(seen))
