"""A risky call waits until the right people agree, for every kind of client, and what they agreed to runs once."""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import grpc
import httpx
import pytest
from mcp.types import CallToolResult, TextContent
from typer.testing import CliRunner, Result

from countersign.api.approvals.v1 import approval_pb2
from countersign.cli.main import app
from countersign.demo.codes import Client
from countersign.demo.issuer import PAGE_CLIENT
from countersign.demo.people import PEOPLE, Person
from tests.fault.rig import eventually
from tests.support.approvers import ApprovalClient, approval_service
from tests.support.clients import LEGACY, MODERN, MODES, Rpc, call, mcp_client, messages, post
from tests.support.counting import Ledger, counting_server
from tests.support.forms import Forms
from tests.support.gateway import Gateway, Setup, Upstream, free_port, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.pager import Pager, running_pager
from tests.support.targets import answers, scripted_target, tool_text

# A fiftieth of what people are used to: a minute is 1.2 s here.
HOLD_S = 0.9
RULES = (
    {"name": "everybody looks", "allow": {"groups": ["analysts"], "targets": ["db"], "tools": ["look", "drop_*"]}},
    {"name": "some begin", "allow": {"groups": ["analysts"], "targets": ["scripted"], "tools": ["begin"]}},
    {
        "name": "owners agree",
        "approve": {"groups": ["analysts"], "targets": ["db", "scripted"], "tools": ["drop_*"]},
        "by": {"groups": ["data-owners"], "within": "10m"},
    },
    {
        "name": "two agree",
        "approve": {"groups": ["analysts"], "targets": ["db"], "tools": ["wipe_*"]},
        "by": {"groups": ["data-owners", "security"], "count": 2, "note_required": True},
    },
    {
        "name": "again and again",
        "approve": {"groups": ["analysts"], "targets": ["db"], "tools": ["move_*"]},
        "by": {"groups": ["data-owners"], "reuse": "30m"},
    },
    {
        "name": "fire exit",
        "break_glass": {"groups": ["analysts"], "targets": ["db"], "tools": ["wipe_*", "burn_*"]},
        "within": "10m",
        "alert": ["pager"],
    },
    {"name": "nobody burns", "deny": {"principals": ["bob"], "tools": ["burn_*"]}},
    {"name": "some burn", "allow": {"principals": ["carol"], "targets": ["db"], "tools": ["burn_*"]}},
)

DORA = Person("dora", ("data-owners",))


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway with an approver, before a server that counts, and a port on which a test may serve another target."""

    gateway: Gateway
    issuer: RunningIssuer
    ledger: Ledger
    pager: Pager
    scripted_port: int

    @property
    def url(self) -> str:
        return self.gateway.endpoint("db")

    def token(self, person: str = "alice", **claims: object) -> str:
        return self.issuer.token(person, self.url, **claims)

    def owner(self, subject: str = "dora") -> str:
        return self.issuer.token("alice", self.gateway.url, sub=subject, groups=["data-owners"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    port, scripted_port = free_port(), free_port()
    with running_issuer((*PEOPLE, DORA)) as issuer, counting_server(port) as ledger, running_pager() as pager:
        secret = tmp_path_factory.mktemp("pager") / "secret"
        secret.touch(mode=0o600)
        secret.write_text(pager.secret)
        channel = {"name": "pager", "webhook": {"url": pager.url, "secret": {"file": str(secret)}}}
        sign_in = {"issuer": issuer.url, "client_id": PAGE_CLIENT}
        waits = {"hold": f"{HOLD_S}s", "pending_per_principal": 50}
        extra = {"approvals": {**waits, "sign_in": sign_in, "channels": [channel]}}
        target = Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": "allow"})
        scripted = Upstream(f"http://127.0.0.1:{scripted_port}/mcp", extra={"new_tools": "allow"})
        with running_gateway(Setup(issuer.url, {"db": target, "scripted": scripted}, RULES, extra=extra)) as gateway:
            back = f"{gateway.url}/approvals/signed-in"
            issuer.issuer.codes.clients[PAGE_CLIENT] = Client(PAGE_CLIENT, (back,))
            yield Place(gateway, issuer, ledger, pager, scripted_port)


@pytest.fixture
async def owner(place: Place) -> AsyncIterator[ApprovalClient]:
    async with approval_service(place.gateway.url, place.owner()) as service:
        yield service


def table() -> str:
    """A table that nobody else drops."""
    return f"t{uuid4().hex}"


def text_of(result: object) -> str:
    assert isinstance(result, CallToolResult), result
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))


async def agreed(owner: ApprovalClient, name: str, after_s: float = 0.0) -> approval_pb2.Approval:
    """Agree to what is asked about a table, this long after it was asked."""
    asked = await owner.wait_for(lambda approval: name in approval.summary.arguments)
    await asyncio.sleep(after_s)
    # Somebody may have come back meanwhile, which changes nothing about what is asked.
    return await owner.decide((await owner.get(asked.id)).approval)


@pytest.mark.parametrize("after_s", [0.1, 1.4, 4.0], ids=["five-seconds", "seventy-seconds", "two-hundred-seconds"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_waits_runs_once(place: Place, owner: ApprovalClient, mode: str, after_s: float) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), mode) as client:
        agreeing = asyncio.ensure_future(agreed(owner, name, after_s))
        result = await client.call_tool("drop_table", {"table": name})
        while mode == LEGACY and "waiting for approval by data-owners" in text_of(result):
            assert place.ledger.times(table=name) == 0
            result = await client.call_tool("drop_table", {"table": name})
        approval = await agreeing
    assert text_of(result) == f"drop_table {name}: done"
    assert place.ledger.times(table=name) == 1
    ended = (await owner.get(approval.id)).approval
    assert (ended.state, ended.uses) == (approval_pb2.APPROVAL_STATE_CONSUMED, 1)


async def test_what_needs_no_approval_waits_for_nobody(place: Place) -> None:
    async with mcp_client(place.url, place.token()) as client:
        assert text_of(await client.call_tool("look", {"table": "a"})) == "a is there"


@pytest.mark.parametrize("mode", MODES)
async def test_a_denial_and_its_note_reach_the_caller_and_nothing_the_target(
    place: Place, owner: ApprovalClient, mode: str
) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), mode) as client:
        calling = asyncio.ensure_future(client.call_tool("drop_table", {"table": name}))
        asked = await owner.wait_for(lambda approval: name in approval.summary.arguments)
        await owner.decide(asked, agrees=False, note="not on a Friday")
        result = await calling
    assert "not on a Friday" in text_of(result)
    assert place.ledger.times(table=name) == 0


async def test_another_argument_is_another_question(place: Place, owner: ApprovalClient) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), LEGACY) as client:
        await client.call_tool("drop_table", {"table": name})
        await agreed(owner, name)
        changed = await client.call_tool("drop_table", {"table": name, "reason": "because"})
        assert "waiting for approval" in text_of(changed)
        assert place.ledger.times(table=name, reason="because") == 0
        assert text_of(await client.call_tool("drop_table", {"table": name})) == f"drop_table {name}: done"


async def test_another_caller_does_not_run_what_was_agreed_to(place: Place, owner: ApprovalClient) -> None:
    name, foreign = table(), place.token(sub="mallory")
    async with mcp_client(place.url, place.token(), LEGACY) as client, mcp_client(place.url, foreign, LEGACY) as other:
        await client.call_tool("drop_table", {"table": name})
        await agreed(owner, name)
        assert "waiting for approval" in text_of(await other.call_tool("drop_table", {"table": name}))
        assert place.ledger.times(table=name) == 0
        assert text_of(await client.call_tool("drop_table", {"table": name})) == f"drop_table {name}: done"


async def test_a_legacy_client_that_leaves_takes_back_what_it_waits_for(place: Place, owner: ApprovalClient) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), LEGACY) as client:
        await client.call_tool("drop_table", {"table": name})
        asked = await owner.wait_for(lambda approval: name in approval.summary.arguments)
    assert (await owner.get(asked.id)).approval.state == approval_pb2.APPROVAL_STATE_ABANDONED


async def test_a_modern_client_that_hangs_up_takes_back_what_it_waits_for(place: Place, owner: ApprovalClient) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), MODERN) as client:
        calling = asyncio.ensure_future(client.call_tool("drop_table", {"table": name}))
        asked = await owner.wait_for(lambda approval: name in approval.summary.arguments)
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling

    async def abandoned() -> bool:
        return (await owner.get(asked.id)).approval.state == approval_pb2.APPROVAL_STATE_ABANDONED

    await eventually(abandoned, what="that it is abandoned")


async def test_nobody_agrees_to_their_own_call_or_without_the_group(place: Place) -> None:
    name = table()
    answer = await post(place.url, place.token(), call("drop_table", {"table": name}), era=LEGACY)
    assert "waiting" in answer.text
    own = place.issuer.token("alice", place.gateway.url, groups=["data-owners", "analysts"])
    other = place.issuer.token("alice", place.gateway.url, sub="erik", groups=["auditors"])
    for token in (own, other):
        async with approval_service(place.gateway.url, token) as service:
            (asked,) = [one for one in await service.list() if name in one.summary.arguments]
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await service.decide(asked)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert place.ledger.times(table=name) == 0


async def test_a_plain_client_is_told_where_to_look_and_calls_again(place: Place, owner: ApprovalClient) -> None:
    name, token = table(), place.token()
    rpc = call("drop_table", {"table": name})
    accepted = await post(place.url, token, rpc, era=LEGACY, headers={"prefer": "respond-async"})
    assert (accepted.status_code, accepted.headers["retry-after"]) == (202, "5")
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
        assert (await http.get(accepted.headers["location"])).json()["state"] == "pending"
        await agreed(owner, name)
        assert (await http.get(accepted.headers["location"])).json()["state"] == "approved"
        foreign = {"authorization": f"Bearer {place.token(sub='mallory')}"}
        assert (await http.get(accepted.headers["location"], headers=foreign)).status_code == 404
    ran = await post(place.url, token, rpc, headers={"prefer": "respond-async"})
    assert ran.status_code == 200
    assert place.ledger.times(table=name) == 1


async def test_forged_and_foreign_states_are_refused_and_recorded(place: Place) -> None:
    name = table()
    rpc = call("drop_table", {"table": name})
    (waiting,) = messages(await post(place.url, place.token(), rpc))
    result = waiting["result"]
    assert isinstance(result, dict)
    state = result["requestState"]
    assert isinstance(state, str)

    async def resumed(state: str, table: str = name, subject: str = "alice") -> int:
        params = {"name": "drop_table", "arguments": {"table": table}, "requestState": state}
        bent = json.loads(rpc.body(MODERN))
        bent["params"] |= params
        return (await post(place.url, place.token(sub=subject), rpc, body=json.dumps(bent).encode())).status_code

    assert await resumed(state + "A") == 400
    assert await resumed(state[:-2]) == 400
    assert await resumed(state, table()) == 400
    assert await resumed(state, subject="mallory") == 400
    assert await resumed(state) == 200
    assert place.ledger.times(table=name) == 0


async def test_a_target_gets_its_own_state_back_and_nothing_that_nobody_agreed_to(
    place: Place, owner: ApprovalClient
) -> None:
    name, url = table(), place.gateway.endpoint("scripted")
    token = place.issuer.token("alice", url)

    def rpc(**members: object) -> Rpc:
        return Rpc("tools/call", {"name": "drop_table", "arguments": {"table": name}, **members}, 7)

    own = rpc(requestState="the target's", inputResponses={"x": {"action": "accept", "content": {"n": 1}}})
    rounds = answers({"resultType": "input_required", "requestState": "the target's"})
    async with scripted_target(rounds, port=place.scripted_port):
        assert "the target's" in (await post(url, token, Rpc("tools/call", {"name": "begin", "arguments": {}}))).text
    async with scripted_target(answers(tool_text("done")), port=place.scripted_port) as target:
        (asked,) = messages(await post(url, token, own))
        assert isinstance(asked["result"], dict)
        await agreed(owner, name)
        back = rpc(requestState=asked["result"]["requestState"], inputResponses={"approval": {"action": "accept"}})
        # What nobody saw when they agreed does not come along either.
        more = json.loads(back.body(MODERN))
        more["params"]["_meta"]["example.com/tenant"] = "production"
        assert (await post(url, token, back, body=json.dumps(more).encode())).status_code == 200
    (received,) = target.received
    assert received.message() == json.loads(own.body(MODERN))
    assert b"cs-wait1" not in target.raw


async def test_two_different_people_with_notes_must_agree(place: Place, owner: ApprovalClient) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), MODERN) as client:
        calling = asyncio.ensure_future(client.call_tool("wipe_table", {"table": name}))
        asked = await owner.wait_for(lambda approval: name in approval.summary.arguments)
        with pytest.raises(grpc.aio.AioRpcError) as no_note:
            await owner.decide(asked)
        assert no_note.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        half = await owner.decide(asked, note="seen")
        with pytest.raises(grpc.aio.AioRpcError) as twice:
            await owner.decide(half, note="seen again")
        assert twice.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert half.state == approval_pb2.APPROVAL_STATE_PENDING
        async with approval_service(place.gateway.url, place.owner("emil")) as other:
            with pytest.raises(grpc.aio.AioRpcError) as stale:
                await other.decide(asked, note="late")
            assert stale.value.code() is grpc.StatusCode.ABORTED
            await other.decide(half, note="me too")
        assert text_of(await calling) == f"wipe_table {name}: done"
    with pytest.raises(grpc.aio.AioRpcError) as over:
        await owner.decide((await owner.get(asked.id)).approval, note="too late")
    assert over.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert place.ledger.times("wipe_table", table=name) == 1


async def test_what_may_be_repeated_is_asked_once(place: Place, owner: ApprovalClient) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), MODERN) as client:
        agreeing = asyncio.ensure_future(agreed(owner, name))
        for _ in range(3):
            assert text_of(await client.call_tool("move_table", {"table": name})) == f"move_table {name}: done"
        approval = (await owner.get((await agreeing).id)).approval
    assert (approval.state, approval.uses) == (approval_pb2.APPROVAL_STATE_APPROVED, 3)


@pytest.mark.parametrize("tool", ["burn_table", "wipe_table"], ids=["only-way", "beside-approvers"])
async def test_the_glass_is_broken_by_the_caller_alone_and_with_a_reason(
    place: Place, owner: ApprovalClient, tool: str
) -> None:
    name = table()
    own = place.issuer.token("alice", place.gateway.url)
    async with mcp_client(place.url, place.token(), MODERN) as client, approval_service(place.gateway.url, own) as me:
        calling = asyncio.ensure_future(client.call_tool(tool, {"table": name}))

        async def mine() -> list[approval_pb2.Approval]:
            return [one for one in await me.list(mine=True) if name in one.summary.arguments]

        await eventually(lambda: _some(mine), what="what was asked")
        (asked,) = await mine()
        with pytest.raises(grpc.aio.AioRpcError) as foreign:
            await owner.break_glass(asked, "because I can, and I say so")
        assert foreign.value.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)
        with pytest.raises(grpc.aio.AioRpcError) as no_reason:
            await me.break_glass(asked, "")
        assert no_reason.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        await me.break_glass(asked, "the shop is down and nobody answers")
        assert text_of(await calling) == f"{tool} {name}: done"
        (decision,) = (await me.get(asked.id)).approval.decisions
    assert (decision.glass, decision.by.subject) == ("fire exit", "alice")
    assert place.ledger.times(tool, table=name) == 1
    told = ["approval.asked", "approval.glass_broken", "approval.consumed"]
    await eventually(lambda: place.pager.heard(asked.id) == told, what="the alert")


async def test_no_glass_helps_against_a_denial_and_none_is_needed_where_calls_are_allowed(place: Place) -> None:
    name = table()
    for subject, times in (("bob", 0), ("carol", 1)):
        async with mcp_client(place.url, place.token(sub=subject), MODERN) as client:
            await client.call_tool("burn_table", {"table": name})
        assert place.ledger.times("burn_table", table=name) == times


async def test_a_person_agrees_on_the_page_to_which_a_message_led_them(place: Place, owner: ApprovalClient) -> None:
    name = table()
    async with mcp_client(place.url, place.token(), MODERN) as client:
        calling = asyncio.ensure_future(client.call_tool("drop_table", {"table": name}))
        asked = await owner.wait_for(lambda approval: name in approval.summary.arguments)
        await eventually(lambda: place.pager.heard(asked.id) == ["approval.asked"], what="the message")
        link = place.pager.link(asked.id)
        async with httpx.AsyncClient(base_url=place.gateway.url) as browser:
            sign_in = await browser.get(link)
            assert (sign_in.status_code, name in sign_in.text) == (403, False)
            issuer = (await browser.get(_href(sign_in.text))).headers["location"]
            back = (await browser.get(f"{issuer}&login_hint=dora")).headers["location"]
            page = await browser.get((await browser.get(back)).headers["location"])
            assert name in page.text
            form = Forms.of(page.text)[f"/approvals/{asked.id}/decide"]
            decided = await browser.post(f"/approvals/{asked.id}/decide", data={**form, "decision": "approve"})
            assert decided.status_code == 303
            assert text_of(await calling) == f"drop_table {name}: done"
            await eventually(
                lambda: _says(browser, decided.headers["location"], "and it ran"), what="what became of it"
            )
            assert (await browser.get(link)).status_code == 403
    assert place.ledger.times(table=name) == 1


async def test_by_the_command_only_whoever_may_agrees_and_to_what_it_shows(
    place: Place, owner: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, secret = table(), "AK" + "IA" + "QWERTYUIOPASDF34"
    monkeypatch.setenv("COUNTERSIGN_GATEWAY", place.gateway.url)

    async def command(token: str, *words: str, typed: str = "") -> Result:
        given = {"COUNTERSIGN_TOKEN": token}
        return await asyncio.to_thread(CliRunner().invoke, app, ["approvals", *words], input=typed, env=given)

    async with mcp_client(place.url, place.token(), LEGACY) as client:
        asking = {"table": name, "reason": f"as {secret} says"}
        assert "waiting for approval" in text_of(await client.call_tool("drop_table", asking))
        short = (await owner.wait_for(lambda approval: name in approval.summary.arguments)).id[:8]
        caller = place.issuer.token("alice", place.gateway.url)
        refused = await command(caller, "approve", short, "--yes")
        assert (refused.exit_code, "you asked for it" in refused.stdout) == (1, True)
        agreed = await command(place.owner(), "approve", short, typed="y\n")
        assert (agreed.exit_code, f'"table": "{name}"' in agreed.stdout) == (0, True)
        assert secret not in agreed.stdout
        assert text_of(await client.call_tool("drop_table", asking)) == f"drop_table {name}: done"
    assert place.ledger.times(**asking) == 1
    assert short not in (await command(place.owner(), "list")).stdout


async def _says(browser: httpx.AsyncClient, path: str, words: str) -> bool:
    return words in (await browser.get(path)).text


def _href(page: str) -> str:
    """Where the button of a page leads."""
    return html.unescape(page.partition('class="button" href="')[2].partition('"')[0])


async def _some(found: Callable[[], Awaitable[list[approval_pb2.Approval]]]) -> bool:
    return bool(await found())
