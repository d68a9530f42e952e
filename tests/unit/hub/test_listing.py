"""One list of many targets: complete where they answer, bounded where they flood, and never held up by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from countersign.config import GatewayConfig, Target
from countersign.hub import listing as module
from countersign.hub.cursors import MOST_PAGES, Cursors, Standing
from countersign.hub.inside import Away, Caller
from countersign.hub.listing import LEFT_OUT, Listing
from countersign.hub.peers import Owner, Peers, Refused, SaidNo, Way
from countersign.jsontext import Document, parse
from countersign.mcp import Era
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside

ALICE = Caller(Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token"), "Bearer x", "192.0.2.1")
MODERN = Way(Era.MODERN, "2026-07-28")


@dataclass
class Scripted:
    """Targets that answer each page as ``pages`` says: a result, or what is raised; ``None`` never answers."""

    pages: Mapping[str, Any]
    asked: list[str] = field(default_factory=list)
    forgot: int = 0

    async def way(self, caller: Caller, owner: Owner, target: Target, era: Era) -> Way:
        return MODERN if not target.name.startswith("old") else Way(Era.LEGACY, "2025-11-25", f"s{self.forgot}")

    def forget(self, owner: Owner, target: Target, way: Way) -> None:
        self.forgot += 1

    async def ask(self, caller: Caller, target: Target, way: Way, method: str, params: str) -> Document:
        self.asked.append(target.name)
        found = self.pages[target.name]
        if isinstance(found, dict) and "pages" in found:
            found = found["pages"][json.loads(params).get("cursor", "")]
        if callable(found):
            found = found(way)
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return parse(found if isinstance(found, str) else json.dumps({"result": found}))


def tools(*names: str, **more: object) -> dict[str, object]:
    return {"tools": [{"name": name} for name in names], **more}


def target(name: str) -> Target:
    return Target(name, f"https://{name}.test/mcp", None, f"https://gateway.test/{name}/mcp")


CURSORS = Cursors(bytes(32))


async def page(scripted: Scripted, cursor: str | None = None) -> dict[str, Any]:
    made = Listing(
        cast(Peers, scripted), CURSORS, lambda: cast(GatewayConfig, None), Aside(from_bytes=1 << 20, at_once=1)
    )
    usable = [target(name) for name in scripted.pages]
    text = await made.page(ALICE, Owner("k"), Era.MODERN, "tools/list", cursor, usable)
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def named(result: Mapping[str, Any]) -> list[str]:
    return [tool["name"] for tool in result["tools"]]


async def test_fifty_targets_make_one_list_in_the_order_of_gateway_yaml() -> None:
    scripted = Scripted({f"t{number}": tools("a", "b", ttlMs=5_000 + number) for number in range(50)})
    result = await page(scripted)
    assert named(result) == [f"t{number}__{name}" for number in range(50) for name in "ab"]
    assert (result["ttlMs"], result["cacheScope"]) == (5_000, "private")
    assert LEFT_OUT not in result.get("_meta", {})


async def test_one_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 0.05)
    result = await page(Scripted({"a": tools("x", ttlMs=5_000), "slow": None, "b": tools("y", ttlMs=9_000)}))
    assert named(result) == ["a__x", "b__y"]
    assert result["_meta"] == {LEFT_OUT: {"slow": "it did not answer in time"}}
    assert result["ttlMs"] == 0, "it may answer the next time"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Away("secret words of a target"), "it does not answer"),
        ({"tools": "none"}, "it does not answer"),
        ({"tools": [], "nextCursor": "x" * 2_049}, "its cursor is too long to go on with"),
        (SaidNo(200, -32601, "no such method"), None),
        (Refused(200, 4030, "denied"), None),
        (Refused(401, 4011, "the session was revoked", "Bearer"), "the session with it was revoked"),
        (Refused(403, -32603, "secret words of a target"), "it refuses to be asked"),
        (Refused(429, 4290, "too fast"), "it is asked too often"),
    ],
)
async def test_who_cannot_be_listed_is_left_out(said: object, reason: str | None) -> None:
    result = await page(Scripted({"a": tools("x"), "b": said}))
    assert named(result) == ["a__x"]
    assert result.get("_meta") == (None if reason is None else {LEFT_OUT: {"b": reason}})


async def test_a_number_that_no_clock_holds_is_no_time_to_keep_a_list_for() -> None:
    endless = '{"result":{"tools":[{"name":"y"}],"ttlMs":' + "9" * 5_000 + "}}"
    result = await page(Scripted({"a": tools("x", ttlMs=5_000), "b": endless}))
    assert named(result) == ["a__x", "b__y"]
    assert result["ttlMs"] == 0


async def test_a_page_of_more_than_can_be_named_in_passing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", 3)
    result = await page(Scripted({"a": tools("x"), "flood": tools(*"abcd"), "b": tools(*"abc")}))
    assert named(result) == ["a__x", "b__a", "b__b", "b__c"]
    assert result["_meta"] == {LEFT_OUT: {"flood": "it lists too much at once"}}


async def test_a_caller_whose_token_ended_hears_so() -> None:
    with pytest.raises(Refused):
        await page(Scripted({"a": tools("x"), "b": Refused(401, 4010, "the token expired")}))


async def test_a_session_that_a_target_forgot_is_opened_anew_once() -> None:
    scripted = Scripted(
        {"old": lambda way: SaidNo(404, -32600, "no session") if way.session_id == "s0" else tools("x")}
    )
    assert named(await page(scripted)) == ["old__x"]
    assert scripted.forgot == 1


async def test_a_flood_takes_a_page_of_its_own_and_all_is_listed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 5)
    flood = {"pages": {"": tools(*"abcdefgh", nextCursor="2"), "2": tools("z")}}
    scripted = Scripted({"a": tools("x"), "flood": flood, "b": tools("y")})
    found: list[str] = []
    cursor: str | None = None
    sizes: list[int] = []
    while cursor is not None or not sizes:
        result = await page(scripted, cursor)
        sizes.append(len(result["tools"]))
        found += named(result)
        cursor = result.get("nextCursor")
    assert sorted(found) == sorted(["a__x", "b__y", "flood__z", *(f"flood__{name}" for name in "abcdefgh")])
    assert max(sizes) == 8


async def test_a_list_without_end_ends() -> None:
    scripted = Scripted({"a": {"pages": {"again": tools("x", nextCursor="again")}}})
    cursor = CURSORS.seal(ALICE.principal, "tools/list", {"a": Standing("again", MOST_PAGES - 1)})
    result = await page(scripted, cursor)
    assert "nextCursor" not in result
    assert result["_meta"] == {LEFT_OUT: {"a": "its list does not end"}}


async def test_a_target_that_may_not_be_used_any_more_is_not_asked_by_an_old_cursor() -> None:
    scripted = Scripted({"a": tools("x")})
    cursor = CURSORS.seal(ALICE.principal, "tools/list", {"a": Standing(), "b": Standing("2", 1)})
    assert named(await page(scripted, cursor)) == ["a__x"]
    assert scripted.asked == ["a"]


async def test_names_that_no_client_takes_are_left_out() -> None:
    result = await page(Scripted({"a": tools("x" * 125, "x" * 126)}))
    assert named(result) == ["a__" + "x" * 125]
