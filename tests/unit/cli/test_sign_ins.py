"""What `countersign login` keeps: for its owner alone, whole, refreshed by one at a time, sent to its gateway only."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
import typer

from countersign.cli.access import bearer
from countersign.cli.login import _by_device
from countersign.cli.loopback import Receiver
from countersign.cli.portal_client import PortalClient, token_for
from countersign.cli.sign_ins import Kept, SignedIn, SignIns

GATEWAY = "https://gateway.test"
ORDERS = f"{GATEWAY}/orders/mcp"
OLD, NEW = "refresh-" + "old", "refresh-" + "new"


class Portal:
    """A portal that rotates refresh tokens, and remembers what came."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.asked: list[dict[str, list[str]]] = []
        self.good = OLD

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        self.asked.append(form)
        if self.error or form["refresh_token"] != [self.good]:
            return httpx.Response(400, json={"error": self.error or "invalid_grant", "error_description": "no\x1b[2J"})
        self.good = f"{NEW}-{len(self.asked)}"
        token = f"token for {form['resource'][0]}".replace(" ", "-")
        return httpx.Response(200, json={"access_token": token, "expires_in": 600, "refresh_token": self.good})

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)


def signed_in(folder: Path, left_s: float = 600) -> SignIns:
    sign_ins = SignIns(folder)
    with sign_ins.changing() as kept:
        kept[GATEWAY] = SignedIn(GATEWAY, GATEWAY, OLD, {GATEWAY: Kept("the-token", time.time() + left_s)})
    return sign_ins


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        signed_in(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    file = tmp_path / "a" / "b" / "sign-ins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(one.name for one in file.parent.iterdir()) == ["sign-ins.json", "sign-ins.lock"]


@pytest.mark.parametrize("how", ["open to others", "a link", "damaged", "no object"])
def test_a_file_that_somebody_else_may_have_written_is_not_used(tmp_path: Path, how: str) -> None:
    sign_ins = signed_in(tmp_path)
    file = tmp_path / "sign-ins.json"
    if how == "open to others":
        file.chmod(0o640)
    elif how == "a link":
        file.rename(tmp_path / "other")
        file.symlink_to(tmp_path / "other")
    else:
        file.write_text("{" if how == "damaged" else "[]")
    with pytest.raises(typer.Exit):
        sign_ins.of(GATEWAY)


def test_a_token_that_is_good_is_not_asked_for_again(tmp_path: Path) -> None:
    portal = Portal()
    assert token_for(signed_in(tmp_path), GATEWAY + "/", portal.transport) == "the-token"
    assert portal.asked == []


def test_each_target_gets_a_token_of_its_own_and_the_refresh_token_moves_on(tmp_path: Path) -> None:
    portal, sign_ins = Portal(), signed_in(tmp_path, left_s=1)
    assert token_for(sign_ins, ORDERS, portal.transport) == f"token-for-{ORDERS}"
    assert token_for(sign_ins, ORDERS, portal.transport) == f"token-for-{ORDERS}"
    assert token_for(sign_ins, GATEWAY, portal.transport) == f"token-for-{GATEWAY}"
    assert [one["resource"] for one in portal.asked] == [[ORDERS], [GATEWAY]]
    kept = sign_ins.of(GATEWAY)
    assert kept is not None
    assert kept.refresh_token == portal.good


def test_many_at_once_refresh_once(tmp_path: Path) -> None:
    portal, sign_ins = Portal(), signed_in(tmp_path, left_s=1)
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(token_for(sign_ins, ORDERS, portal.transport))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [f"token-for-{ORDERS}"] * 8
    assert len(portal.asked) == 1, "a second would have shown a used token, and ended the sign-in"


def test_a_sign_in_that_is_over_is_forgotten_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign_ins = signed_in(tmp_path, left_s=1)
    with pytest.raises(typer.Exit) as caught:
        token_for(sign_ins, GATEWAY, Portal("invalid_grant").transport)
    assert caught.value.exit_code == 1
    said = capsys.readouterr().err
    assert "countersign login" in said
    assert "\x1b[2J" not in said, "a portal says nothing to the terminal"
    assert sign_ins.of(GATEWAY) is None


def test_a_sign_in_is_kept_when_the_portal_only_has_trouble(tmp_path: Path) -> None:
    sign_ins = signed_in(tmp_path, left_s=1)
    with pytest.raises(typer.Exit):
        token_for(sign_ins, GATEWAY, Portal("temporarily_unavailable").transport)
    assert sign_ins.of(GATEWAY) is not None


@pytest.mark.parametrize(
    "elsewhere", ["https://gateway.test.evil.test", "http://gateway.test", "https://gateway.test:8443"]
)
def test_nothing_is_sent_to_another_gateway(tmp_path: Path, elsewhere: str) -> None:
    portal = Portal()
    assert token_for(signed_in(tmp_path, left_s=1), f"{elsewhere}/orders/mcp", portal.transport) is None
    assert portal.asked == []


def test_what_is_given_goes_before_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    signed_in(tmp_path / "countersign")
    assert bearer(None, "given", GATEWAY) == "given"
    assert bearer(None, None, GATEWAY) == "the-token"
    with pytest.raises(typer.Exit):
        bearer(None, None, "https://other.test")


@pytest.mark.parametrize(
    "url", ["http://gateway.test", "gateway.test", "https://gateway.test/path", "ftp://gateway.test"]
)
def test_tokens_travel_encrypted_or_not_at_all(url: str) -> None:
    with pytest.raises(typer.Exit):
        PortalClient(url)


def test_a_gateway_that_calls_itself_otherwise_is_not_signed_in_at() -> None:
    def lies(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"issuer": "https://evil.test/portal"})

    client = PortalClient(GATEWAY, httpx.MockTransport(lies))
    with pytest.raises(typer.Exit):
        client.check()
    client.close()


def test_a_device_asks_on_more_slowly_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("countersign.cli.login.time.sleep", waits.append)
    good = {"access_token": "the-token", "refresh_token": NEW, "expires_in": 600}
    polls = iter([httpx.ConnectError("away"), httpx.Response(400, json={"error": "authorization_pending"}), good])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("device_authorization"):
            asked = {"device_code": "the-code", "user_code": "BCDF-GHJK", "interval": 5, "expires_in": 600}
            return httpx.Response(200, json={**asked, "verification_uri": f"{GATEWAY}/portal/device"})
        found = next(polls)
        if isinstance(found, httpx.ConnectError):
            raise found
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    client = PortalClient(GATEWAY, httpx.MockTransport(answer))
    assert _by_device(client, GATEWAY).refresh_token == NEW
    assert waits == [5, 10, 10]
    client.close()


def test_secrets_do_not_show_themselves() -> None:
    shown = repr(SignedIn(GATEWAY, GATEWAY, OLD, {GATEWAY: Kept("the-token", 0)}))
    assert OLD not in shown
    assert "the-token" not in shown


def test_only_the_answer_that_was_asked_for_counts_and_once() -> None:
    receiver = Receiver("the-state", f"{GATEWAY}/portal")
    good = {"state": "the-state", "iss": f"{GATEWAY}/portal", "code": "the-code"}
    try:
        with httpx.Client() as browser:
            for wrong in (
                {},
                {**good, "state": "other"},
                {**good, "iss": "https://evil.test/portal"},
                {**good, "error": "x"},
                {name: value for name, value in good.items() if name != "iss"},
            ):
                assert browser.get(receiver.redirect_uri, params=wrong).status_code == 404
            assert browser.get(receiver.redirect_uri.replace("/callback", "/other"), params=good).status_code == 404
            assert receiver.wait(0) is None
            assert browser.get(receiver.redirect_uri, params=good).status_code == 200
            assert browser.get(receiver.redirect_uri, params={**good, "code": "second"}).status_code == 404
        assert receiver.wait(5) == good
    finally:
        receiver.close()
