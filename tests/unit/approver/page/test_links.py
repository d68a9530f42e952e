"""A link leads to one approval and is good for one decision; it proves nothing, and nobody's looking uses it up."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from countersign.approver.page.links import AFTER_S, Links
from countersign.model.approval import Approval
from tests.support.approvals import TWO_OWNERS, question
from tests.unit.approver.page.world import GATEWAY, KEY, Browser, World

_WITHIN_S = 15 * 60


@pytest.fixture
def world() -> World:
    return World()


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def sealed_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["link"][0]


async def sent(browser: Browser, approval: Approval, link: str) -> int:
    """Send the form of a page that was opened without a link, as if it had been by this one."""
    path = f"/approvals/{approval.id}"
    form = await browser.form(path, f"{path}/decide")
    answer = await browser.http.post(f"{path}/decide", data={**form, "decision": "approve", "link": link})
    return answer.status_code


async def test_a_link_decides_once_however_often_it_is_looked_at(world: World) -> None:
    approval = await world.ask(question(TWO_OWNERS))
    link = path_of(world.links.make(approval))
    for _ in range(3):
        await world.browser().get(link)
        await world.browser().http.head(link)
    owen, olga = await world.signed_in("owen"), await world.signed_in("olga")
    await olga.get(link)
    assert not world.used.used
    assert (await owen.decide(approval, link=link)).status_code == 303
    for browser in (owen, olga):
        again = await browser.get(link)
        assert (again.status_code, "was used already" in again.text) == (403, True)
        assert f'href="/approvals/{approval.id}"' in again.text
    assert world.recorded() == ["asked", "agreed", "link_refused", "link_refused"]
    # Without it she decides as ever.
    assert (await olga.decide(approval)).status_code == 303


async def test_a_used_link_decides_nothing(world: World) -> None:
    approval = await world.ask(question(TWO_OWNERS))
    link = world.links.make(approval)
    owen, olga = await world.signed_in("owen"), await world.signed_in("olga")
    await owen.decide(approval, link=path_of(link))
    assert await sent(olga, approval, sealed_in(link)) == 403
    assert len((await world.store.get(approval.id)).decisions) == 1
    assert world.recorded()[-1] == "link_refused"


async def test_of_two_who_decide_by_one_link_at_once_one_does(world: World) -> None:
    approval = await world.ask(question(TWO_OWNERS))
    link = sealed_in(world.links.make(approval))
    owen, olga = await world.signed_in("owen"), await world.signed_in("olga")
    answers = await asyncio.gather(sent(owen, approval, link), sent(olga, approval, link))
    assert sorted(answers) == [303, 403]


async def test_a_link_proves_nothing(world: World) -> None:
    approval = await world.ask()
    link = path_of(world.links.make(approval))
    assert (await world.browser().get(link)).status_code == 403
    mallory = await world.signed_in("mallory")
    assert (await mallory.get(link)).status_code == 404
    alice = await world.signed_in("alice")
    assert "/decide" not in (await alice.get(link)).text


@pytest.mark.parametrize("how", ["forged", "altered", "cut", "of another deployment", "of another approval", "empty"])
async def test_a_bad_link_is_refused_and_recorded(world: World, how: str) -> None:
    approval, other = await world.ask(), await world.ask()
    link = sealed_in(world.links.make(approval))
    bad, status = {
        "forged": ("A" * len(link), 400),
        "altered": (link[:-10] + ("B" if link[-10] == "A" else "A") + link[-9:], 400),
        "cut": (link[:-1], 400),
        "of another deployment": (sealed_in(Links(KEY[::-1], lambda: GATEWAY).make(approval)), 400),
        "of another approval": (sealed_in(world.links.make(other)), 403),
        "empty": ("", 400),
    }[how]
    owen = await world.signed_in("owen")
    assert (await owen.get(f"/approvals/{approval.id}?link={bad}")).status_code == status
    assert world.recorded()[-1] == "link_refused"
    if bad:
        assert await sent(owen, approval, bad) == status
    assert await world.state(approval) == "pending"
    assert not world.used.used


async def test_a_link_ends_some_time_after_its_approval(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.issuer, "_token_life_s", 3 * AFTER_S)
    approval = await world.ask()
    link = path_of(world.links.make(approval))
    world.later_s = _WITHIN_S + AFTER_S - 60
    assert (await (await world.signed_in("owen")).get(link)).status_code == 200
    world.later_s = _WITHIN_S + AFTER_S + 1
    late = await (await world.signed_in("owen")).get(link)
    assert (late.status_code, "time is over" in late.text) == (403, True)


async def test_a_link_to_no_approval_is_refused_and_recorded(world: World) -> None:
    nowhere = "0d0f6f0b-6c55-4b0d-8f0a-2f6b1f1c9a57"
    owen = await world.signed_in("owen")
    assert (await owen.get(f"/approvals/{nowhere}?link=AAAA")).status_code == 400
    assert world.recorded() == ["link_refused"]


async def test_what_a_stranger_sends_is_not_recorded(world: World) -> None:
    approval = await world.ask()
    await world.browser().get(f"/approvals/{approval.id}?link=AAAA")
    assert "link_refused" not in world.recorded()


async def test_two_links_to_one_approval_differ_and_tell_nothing(world: World) -> None:
    approval = await world.ask()
    first, second = (sealed_in(world.links.make(approval)) for _ in range(2))
    assert first != second
    assert approval.id not in first
