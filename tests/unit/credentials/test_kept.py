"""One fetch for all who ask, in time, and none for a while after it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from countersign.config import Secret
from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.kept import LONGEST_BACKOFF_S, REFUSALS, REFUSALS_S, Fetched, Kept


@dataclass
class Giver:
    """Gives numbered secrets, or raises ``error``; time goes on as the test says."""

    now: float = 1_000.0
    asked: int = 0
    error: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        self.kept = Kept(self.fetch, lambda: self.now, lambda: 0.5)

    async def fetch(self) -> Fetched:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Fetched(Secret(f"secret {number}"), renew_s=80.0, life_s=95.0)

    async def got(self) -> str:
        return (await self.kept.get()).secret.reveal()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_thousand_callers_have_it_fetched_once() -> None:
    giver = Giver()
    giver.gate.clear()
    waiting = [asyncio.create_task(giver.got()) for _ in range(1_000)]
    await giver.settle()
    giver.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"secret 1"}
    assert giver.asked == 1


async def test_a_caller_that_gives_up_takes_nobodys_fetch_along() -> None:
    giver = Giver()
    giver.gate.clear()
    first, second = (asyncio.create_task(giver.got()) for _ in range(2))
    await giver.settle()
    first.cancel()
    await giver.settle()
    giver.gate.set()
    assert await second == "secret 1"
    assert giver.asked == 1


async def test_another_is_fetched_before_it_is_over_and_nobody_waits_for_that() -> None:
    giver = Giver()
    await giver.got()
    giver.now += 75
    assert await giver.got() == "secret 1"
    assert giver.asked == 1
    giver.now += 2
    giver.gate.clear()
    assert await giver.got() == "secret 1"
    await giver.settle()
    assert giver.asked == 2
    giver.gate.set()
    await giver.settle()
    assert await giver.got() == "secret 2"


async def test_what_is_over_is_never_given() -> None:
    giver = Giver()
    await giver.got()
    giver.error = CredentialUnavailable("away")
    giver.now += 94
    assert await giver.got() == "secret 1"
    await giver.settle()
    giver.now += 2
    with pytest.raises(CredentialUnavailable, match="away"):
        await giver.got()


async def test_after_a_failure_nobody_asks_for_a_while_that_grows() -> None:
    giver = Giver(error=CredentialUnavailable("away"))
    pauses = []
    for _ in range(8):
        with pytest.raises(CredentialUnavailable, match="away"):
            await giver.got()
        asked, began = giver.asked, giver.now
        while giver.asked == asked:
            giver.now += 0.5
            with pytest.raises(CredentialUnavailable):
                await giver.got()
        pauses.append(giver.now - began)
    assert pauses[:3] == sorted(pauses[:3])
    assert pauses[0] >= 1
    assert pauses[-1] == LONGEST_BACKOFF_S
    giver.error, giver.now = None, giver.now + LONGEST_BACKOFF_S
    assert (await giver.got()).startswith("secret")


async def test_the_failure_of_a_renewal_leaves_what_is_good_in_use() -> None:
    giver = Giver()
    await giver.got()
    giver.now += 80
    giver.error = CredentialUnavailable("away")
    for _ in range(10):
        assert await giver.got() == "secret 1"
        await giver.settle()
    assert giver.asked == 2


async def test_many_refusals_of_one_value_have_it_fetched_once() -> None:
    giver = Giver()
    value = await giver.kept.get()
    for _ in range(100):
        giver.kept.refused(value.serial)
        await giver.got()
    assert giver.asked == 2


async def test_a_refusal_of_an_older_value_changes_nothing() -> None:
    giver = Giver()
    old = await giver.kept.get()
    giver.kept.refused(old.serial)
    new = await giver.kept.get()
    giver.kept.refused(old.serial)
    assert await giver.kept.get() is new


async def test_a_target_that_refuses_everything_has_little_fetched() -> None:
    giver = Giver()
    for _ in range(100):
        giver.kept.refused((await giver.kept.get()).serial)
    assert giver.asked == 1 + REFUSALS
    giver.now += REFUSALS_S
    giver.kept.refused((await giver.kept.get()).serial)
    await giver.got()
    assert giver.asked == 2 + REFUSALS


async def test_an_unforeseen_error_says_nothing_of_what_was_fetched(caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-" + "of-a-secret"
    giver = Giver(error=RuntimeError(canary))
    with pytest.raises(CredentialUnavailable) as caught:
        await giver.got()
    assert canary not in str(caught.value) + caplog.text
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


async def test_whoever_waits_hears_of_the_end() -> None:
    giver = Giver()
    giver.gate.clear()
    waiting = asyncio.create_task(giver.got())
    await giver.settle()
    giver.kept.close()
    with pytest.raises(CredentialUnavailable):
        await waiting


async def test_the_renewals_of_replicas_are_spread() -> None:
    async def renewed_after(chance: Callable[[], float]) -> float:
        giver = Giver()
        giver.kept = Kept(giver.fetch, lambda: giver.now, chance)
        await giver.got()
        began = giver.now
        while giver.asked == 1:
            giver.now += 0.25
            await giver.got()
            await giver.settle()
        return giver.now - began

    assert await renewed_after(lambda: 1.0) < await renewed_after(lambda: 0.0) - 5
