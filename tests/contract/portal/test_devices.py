"""Devices without a browser are let in by who has one; nobody is by a link, a guess or a flood."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from countersign.portal.devices import GRANT, LETTERS, POLLS, TRIES
from tests.contract.portal.world import (
    CLI,
    ORDERS,
    Browser,
    World,
)


async def device(browser: Browser, **form: str) -> dict[str, str]:
    answer = await browser.post("/portal/device_authorization", client_id=CLI, **form)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def poll(browser: Browser, code: str) -> httpx.Response:
    return await browser.token(grant_type=GRANT, client_id=CLI, device_code=code)


async def confirm(browser: Browser, user_code: str, answer: str = "yes") -> httpx.Response:
    fields = await browser.form(await browser.get("/portal/device"), "/portal/device")
    shown = await browser.post("/portal/device", **{**fields, "user_code": user_code})
    decide = await browser.form(shown, "/portal/device/decide")
    return await browser.post("/portal/device/decide", **{**decide, "answer": answer})


async def test_a_device_is_let_in_by_who_has_a_browser_and_once(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("alice")
    codes = await device(browser, resource=ORDERS)
    assert (await poll(browser, codes["device_code"])).json()["error"] == "authorization_pending"
    assert (await poll(browser, codes["device_code"])).json()["error"] == "slow_down"
    assert (await confirm(browser, codes["user_code"].lower())).status_code == 200
    world.later_s = 15
    tokens = (await poll(browser, codes["device_code"])).json()
    assert tokens["access_token"]
    world.later_s = 30
    assert (await poll(browser, codes["device_code"])).json()["error"] == "expired_token"
    assert (await browser.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_device_code_that_could_not_be_answered_is_not_used_up(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("alice")
    codes = await device(browser, resource=ORDERS)
    await confirm(browser, codes["user_code"])
    world.told.fresh = False
    assert (await poll(browser, codes["device_code"])).status_code == 503
    world.told.fresh = True
    assert (await poll(browser, codes["device_code"])).status_code == 200


async def test_a_device_that_is_not_let_in_hears_of_it(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("alice")
    codes = await device(browser)
    await confirm(browser, codes["user_code"], answer="no")
    assert (await poll(browser, codes["device_code"])).json()["error"] == "access_denied"


async def test_a_device_code_is_over_in_ten_minutes(world: World) -> None:
    browser = world.browser()
    codes = await device(browser)
    world.later_s = 601
    assert (await poll(browser, codes["device_code"])).json()["error"] == "expired_token"
    await browser.sign_in("alice")
    fields = await browser.form(await browser.get("/portal/device"), "/portal/device")
    assert (await browser.post("/portal/device", **{**fields, "user_code": codes["user_code"]})).status_code == 404


async def test_codes_of_devices_are_not_guessed(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("bob")
    codes = await device(browser)
    fields = await browser.form(await browser.get("/portal/device"), "/portal/device")
    for _ in range(TRIES):
        assert (await browser.post("/portal/device", **{**fields, "user_code": LETTERS[:8]})).status_code == 404
    tried = await browser.post("/portal/device", **{**fields, "user_code": codes["user_code"]})
    assert tried.status_code == 429, "also the right one, for ten minutes"


async def test_a_link_with_a_code_lets_nobody_in_by_itself(world: World) -> None:
    browser = world.browser()
    await browser.sign_in("alice")
    codes = await device(browser)
    page = await browser.get(f"/portal/device?user_code={codes['user_code']}")
    assert (await poll(browser, codes["device_code"])).json()["error"] == "authorization_pending"
    fields = await browser.form(page, "/portal/device")
    shown = await browser.post("/portal/device", **fields)
    assert "you began this there yourself" in shown.text
    decide = await browser.form(shown, "/portal/device/decide")
    forged = await browser.post("/portal/device/decide", **{**decide, "csrf": "x", "answer": "yes"})
    assert forged.status_code == 403


async def test_devices_that_flood_are_turned_away(world: World) -> None:
    browser = world.browser()
    answers = [await browser.post("/portal/device_authorization", client_id=CLI) for _ in range(21)]
    assert [one.status_code for one in answers] == [200] * 20 + [429]


async def test_a_device_that_asks_without_end_keeps_no_database_busy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = [], world.store.poll

    async def counted(*args: Any) -> Any:
        looks.append(args)
        return await look(*args)

    monkeypatch.setattr(world.store, "poll", counted)
    browser = world.browser()
    codes = await device(browser)
    answers = [(await poll(browser, codes["device_code"])).json()["error"] for _ in range(20)]
    assert answers == ["authorization_pending"] + ["slow_down"] * 19
    assert len(looks) == POLLS
    world.later_s = 60
    assert (await poll(browser, codes["device_code"])).json()["error"] == "authorization_pending"


@pytest.mark.parametrize(
    ("addresses", "last"),
    [
        ([f"2001:db8:7:{number:x}::{number:x}" for number in range(21)], 429),
        ([f"192.0.2.{number}" for number in range(21)], 200),
        ([f"198.51.100.{number}, 192.0.2.1" for number in range(21)], 429),
    ],
    ids=["one network of IPv6", "others", "who says to be others"],
)
async def test_who_has_many_addresses_does_not_keep_others_from_signing_in(
    world: World, addresses: list[str], last: int
) -> None:
    browser = world.browser()
    for address in addresses:
        headers = {"x-forwarded-for": address}
        answer = await browser.http.post("/portal/device_authorization", data={"client_id": CLI}, headers=headers)
    assert answer.status_code == last
