"""A replay that follows misses nothing, repeats nothing, is never silent for long, and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest

from countersign.api.recorder.v1 import session_pb2
from countersign.recorder.asked import BadQuestion, manner
from countersign.recorder.ports import ReadStore, SealRow, SessionRow, StoredEvent
from countersign.recorder.replaying import LONGEST_S, Incomplete, Manner, Replay
from countersign.recorder.who import Who

SESSION = UUID(int=7)
PAGE = 3
ALL = Manner(start=0, pace=0.0, longest_wait_s=10.0, follow=False)
LIVE = replace(ALL, follow=True)


@dataclass
class Growing:
    """A session that grows while somebody sleeps: ``coming`` says at which second how many events are there.

    The last of them is the seal once ``sealed_at_s`` has come.
    """

    coming: dict[float, int]
    sealed_at_s: float = 1e9
    gaps_s: float = 0.0
    now_s: float = 0.0
    told_s: list[float] = field(default_factory=list)
    longest_silence_s: float = 0.0
    missing: int = -1

    async def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s

    def length(self) -> int:
        return max(count for at_s, count in self.coming.items() if at_s <= self.now_s)

    async def session(self, session_id: UUID) -> SessionRow | None:
        assert session_id == SESSION
        return self.row()

    def row(self) -> SessionRow:
        nobody = Who("", "", (), "", "")
        seal = SealRow(0, bytes(32), 0, datetime.now(UTC), "idle") if self.now_s >= self.sealed_at_s else None
        return SessionRow(SESSION, 0, nobody, "orders", 0, 0, self.length(), 0, 0, 0, 0, None, seal)

    async def events(self, session_id: UUID, *, start: int, stop: int) -> list[StoredEvent]:
        assert 0 <= start < stop <= self.length()
        return [self._event(number) for number in range(start, min(stop, start + PAGE)) if number != self.missing]

    def _event(self, number: int) -> StoredEvent:
        seals = self.now_s >= self.sealed_at_s and number == self.length() - 1
        time_us = 1 + int(number * self.gaps_s * 1_000_000)
        record = f'{{"kind":"{"seal" if seals else "request"}","time_us":{time_us}}}'
        return StoredEvent(number, number, datetime.now(UTC), record, None)

    async def replayed(self, wanted: Manner, is_over: Callable[[], bool] = lambda: False) -> list[int]:
        replay = Replay(
            cast(ReadStore, self), wanted, is_over=is_over, sleep=self.sleep, monotonic_s=lambda: self.now_s
        )
        found, heard_s = [], self.now_s
        async for step in replay.steps(self.row()):
            self.longest_silence_s = max(self.longest_silence_s, self.now_s - heard_s)
            heard_s = self.now_s
            if step is not None:
                found.append(step.stored.sequence)
                self.told_s.append(self.now_s)
        return found


async def test_following_tells_each_event_once_and_ends_with_the_seal() -> None:
    grows = Growing({0: 2, 3: 9, 60: 10, 61: 30}, sealed_at_s=61)
    assert await grows.replayed(LIVE) == list(range(30))
    assert grows.longest_silence_s <= 10
    assert grows.now_s < 62


async def test_without_following_it_ends_with_what_was_the_last() -> None:
    grows = Growing({0: 5, 0.001: 9})
    assert await grows.replayed(ALL) == list(range(5))
    assert grows.now_s == 0


@pytest.mark.parametrize("start", [2, 5, 6, 2**64 - 1])
async def test_following_a_sealed_session_ends_wherever_it_begins(start: int) -> None:
    grows = Growing({0: 5}, sealed_at_s=0)
    assert await grows.replayed(replace(LIVE, start=start)) == list(range(5))[start:]
    assert grows.now_s == 0


async def test_whoever_follows_has_to_ask_again_after_a_while() -> None:
    grows = Growing({0: 1, LONGEST_S - 1: 2})
    assert await grows.replayed(LIVE) == [0, 1]
    assert LONGEST_S <= grows.now_s < LONGEST_S + 10


async def test_following_ends_when_the_recorder_stops_also_amid_a_wait() -> None:
    grows = Growing({0: 5}, gaps_s=9)
    assert await grows.replayed(replace(LIVE, pace=1.0), lambda: grows.now_s >= 12) == [0, 1]
    assert grows.now_s < 14


async def test_a_live_session_at_its_pace_does_not_fall_behind() -> None:
    grows = Growing({8.0 * number: number + 1 for number in range(6)}, gaps_s=8, sealed_at_s=40)
    assert await grows.replayed(replace(LIVE, pace=1.0)) == list(range(6))
    assert grows.now_s <= 42
    assert grows.longest_silence_s <= 10


@pytest.mark.parametrize(("pace", "wait_s"), [(1.0, 4.0), (2.0, 2.0), (1_000.0, 0.004), (0.01, 10.0)])
async def test_the_pace_is_so_many_times_as_fast_and_no_wait_is_longer_than_asked(pace: float, wait_s: float) -> None:
    grows = Growing({0: 3}, gaps_s=4)
    await grows.replayed(replace(ALL, pace=pace))
    assert grows.told_s == pytest.approx([0, wait_s, 2 * wait_s])


async def test_long_waits_of_a_following_are_not_silent() -> None:
    grows = Growing({0: 2}, gaps_s=3_600, sealed_at_s=0)
    assert await grows.replayed(replace(LIVE, pace=4.0, longest_wait_s=3_600)) == [0]
    assert grows.longest_silence_s <= 10


@pytest.mark.parametrize("wanted", [ALL, LIVE])
async def test_a_missing_event_is_told_and_not_passed_over(wanted: Manner) -> None:
    grows = Growing({0: 9}, missing=4)
    with pytest.raises(Incomplete) as caught:
        await grows.replayed(wanted)
    assert caught.value.args == (4,)
    assert len(grows.told_s) == 4


@pytest.mark.parametrize("speed", [0.001, 1_001, -1, float("nan"), float("inf")])
def test_no_speed_is_out_of_bounds(speed: float) -> None:
    with pytest.raises(BadQuestion, match="speed"):
        manner(session_pb2.ReplaySessionRequest(original_pace=True, speed=speed))


def test_a_speed_without_a_pace_is_a_mistake() -> None:
    with pytest.raises(BadQuestion, match="original_pace"):
        manner(session_pb2.ReplaySessionRequest(speed=2))
