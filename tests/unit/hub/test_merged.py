"""Streams of many targets in one: none is lost, none keeps the others out, and all end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from countersign.hub.peers import Refused
from countersign.hub.streams import MOST_SUBSCRIBED, merged, wanted
from countersign.jsontext import JsonValue
from countersign.model.door_names import NotNamed


class Source:
    """Says ``pieces`` (for ever when there are none to count), and then does what ``then`` is."""

    def __init__(self, name: str, pieces: int | None, then: Exception | None = None) -> None:
        self._name = name
        self._pieces = pieces
        self._then = then
        self.said = 0
        self.ended = False

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            while self._pieces is None or self.said < self._pieces:
                self.said += 1
                yield f"{self._name}{self.said}".encode()
            if self._then is not None:
                raise self._then
        finally:
            self.ended = True


async def test_all_is_said_in_each_ones_order() -> None:
    found = [piece async for piece in merged([Source("a", 40)(), Source("b", 3)(), Source("c", 0)()])]
    assert [piece for piece in found if piece.startswith(b"a")] == [f"a{number}".encode() for number in range(1, 41)]
    assert [piece for piece in found if piece.startswith(b"b")] == [b"b1", b"b2", b"b3"]
    assert len(found) == 43


async def test_one_that_floods_neither_fills_the_memory_nor_keeps_the_others_out() -> None:
    flood, other = Source("f", None), Source("o", 5)
    heard = 0
    async with aclosing(merged([flood(), other()])) as stream, asyncio.timeout(10):
        async for piece in stream:
            heard += piece.startswith(b"o")
            assert flood.said < 1_000
            if heard == 5:
                break
    assert flood.ended
    assert other.ended


async def test_the_error_of_one_ends_them_all() -> None:
    flood = Source("f", None)
    refused = Refused(401, 4010, "the token was revoked")
    with pytest.raises(Refused):
        async for _ in merged([flood(), Source("r", 1, refused)()]):
            pass
    assert flood.ended


def asked(uris: Sequence[str]) -> JsonValue:
    return {"notifications": {"toolsListChanged": True, "resourceSubscriptions": list[JsonValue](uris)}}


def test_what_is_listened_to_is_each_targets_own() -> None:
    found = wanted(asked(["a+x:/1", "b+x:/2", "a+x:/3"]), "1", {"a", "b"})
    assert found.filter_json("a") == '{"toolsListChanged": true, "resourceSubscriptions": ["x:/1", "x:/3"]}'
    assert found.filter_json("c") == '{"toolsListChanged": true}'


@pytest.mark.parametrize("uris", [["x"], ["a+x:"] * (MOST_SUBSCRIBED + 1)])
def test_what_is_nobodys_or_too_much_is_not_listened_to(uris: list[str]) -> None:
    with pytest.raises(NotNamed):
        wanted(asked(uris), "1", {"a"})


def test_only_what_will_be_told_is_granted() -> None:
    found = wanted(asked(["a+x:/1", "nosuch+x:/2", "mcp+3b+x:/3"]), "1", {"a", "3b"})
    assert found.granted == {"toolsListChanged": True, "resourceSubscriptions": ["a+x:/1", "mcp+3b+x:/3"]}
    assert wanted(asked(["nosuch+x:/2"]), "1", {"a"}).granted == {"toolsListChanged": True}
