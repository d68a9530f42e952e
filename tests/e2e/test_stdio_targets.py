"""Targets that the gateway runs itself, through the real Envoy: judged, masked and recorded as any other."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import httpx2
import mcp_types as types
import psutil
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.support import stdio_server
from tests.support.auditors import session_service
from tests.support.clients import INITIALIZE, LEGACY, MODERN, MODES, Rpc, call, mcp_client, messages, post
from tests.support.gateway import Gateway, Setup, Upstream
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.node import FOLDER, NODE
from tests.support.recorders import until

SERVER = [sys.executable, "-I", str(Path(stdio_server.__file__))]
ANALYSTS: Mapping[str, object] = {"groups": ["analysts"], "targets": ["*"]}
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "analysts", "allow": {**ANALYSTS, "tools": ["*"]}, "mask": ["pii"]},
    {"name": "no flood", "deny": {"tools": ["flood"]}, "message": "Not that."},
)
OPERATORS = {"operators": {"groups": ["auditors"]}}


@dataclass
class Place:
    """A gateway that runs one server for each session, the same shared, and one of the legacy era alone."""

    gateway: Gateway
    issuer: RunningIssuer

    def url(self, target: str = "own") -> str:
        return self.gateway.endpoint(target)

    def token(self, target: str = "own", person: str = "alice", **claims: object) -> str:
        return self.issuer.token(person, self.url(target), **claims)

    async def recorded(self, tool: str) -> list[event_pb2.Event]:
        """The events of all calls of this tool, in their order; on record are those of other files, too."""
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as service:
            sessions = await service.list_sessions(session_pb2.SessionFilter(issuer=self.issuer.url))
            found = [one.event for session in sessions for one in await service.replay(session.session_id)]
        return [event for event in found if event.name == tool]

    def below(self) -> set[int]:
        """The processes below the bridge."""
        return {each.pid for each in self.gateway.part("bridge").children(recursive=True)}


@pytest.fixture(scope="module")
def place(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    open_tools = {"new_tools": "allow"}
    targets = {
        "own": Upstream({"command": SERVER, "env": {"LEVEL": "debug"}}, extra=open_tools),
        "shared": Upstream({"command": SERVER, "processes": "shared"}, extra=open_tools),
        "old": Upstream({"command": [*SERVER, "legacy"]}, extra=open_tools),
    }
    program = FOLDER / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
    targets["everything"] = Upstream({"command": [str(NODE), str(program)]}, extra=open_tools)
    subprocess.run(["git", "init", "-q", tmp_path_factory.mktemp("repository")], check=True)
    repository = str(tmp_path_factory.getbasetemp() / "repository0")
    git = [str(Path(sys.executable).parent / "mcp-server-git"), "--repository", repository]
    targets["git"] = Upstream({"command": git, "cwd": repository}, extra=open_tools)
    with running_issuer() as issuer:
        yield Place(in_turn.take(Setup(issuer.url, targets, RULES, extra=OPERATORS, hub=True)), issuer)


async def said(place: Place, tool: str, target: str, mode: str, **arguments: object) -> str:
    async with mcp_client(place.url(target), place.token(target), mode) as client:
        result = await client.call_tool(tool, arguments)
        content = result.content[0]
        assert isinstance(content, TextContent)
        return content.text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", ["own", "shared", "old"])
async def test_a_real_client_calls_a_tool_and_what_it_says_is_masked(place: Place, target: str, mode: str) -> None:
    if (target, mode) == ("old", MODERN):
        answer = await post(place.url(target), place.token(target), Rpc("server/discover"), era=MODERN)
        assert answer.status_code == 404
        assert messages(answer)[0]["error"] == {"code": -32601, "message": "Method not found"}
        return
    text = await said(place, "echo", target, mode, text="write to canary@" + "example.org")
    assert text == "write to [EMAIL]"


async def test_a_real_server_of_node_asks_its_client_and_tells_it_of_its_progress(place: Place) -> None:
    async def sample(context: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        return types.CreateMessageResult(role="assistant", content=TextContent(type="text", text="sampled"), model="m")

    async def elicit(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="decline")

    async def roots(context: object) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root.model_validate({"uri": "file:///srv/work"})])

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    heard: list[float] = []
    headers = {"authorization": f"Bearer {place.token('everything')}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(place.url("everything"), http_client=http),
            mode=LEGACY,
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
        ) as client,
    ):

        async def text(tool: str, **arguments: object) -> str:
            result = await client.call_tool(tool, arguments, progress_callback=on_progress)
            return " ".join(each.text for each in result.content if isinstance(each, TextContent))

        assert "sampled" in await text("trigger-sampling-request", prompt="Think.", maxTokens=10)
        assert "decline" in await text("trigger-elicitation-request")
        assert "file:///srv/work" in await text("get-roots-list")
        heard.clear()
        await text("trigger-long-running-operation", duration=0.2, steps=4)
        assert heard == [1, 2, 3, 4]
        assert "COUNTERSIGN" not in await text("get-env")


@pytest.mark.parametrize("mode", MODES)
async def test_a_real_server_of_python_works_in_its_folder(place: Place, mode: str) -> None:
    async with mcp_client(place.url("git"), place.token("git"), mode) as client:
        folder = place.gateway.setup.targets["git"].mcp["cwd"]  # type: ignore[index]
        result = await client.call_tool("git_status", {"repo_path": folder})
        assert "No commits yet" in str(result.content)


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_progress_arrives_while_a_tool_runs(place: Place, mode: str) -> None:
    heard: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with mcp_client(place.url(), place.token(), mode) as client:
        await client.call_tool("progress", {}, progress_callback=on_progress)
    assert heard == ["step 0", "step 1", "step 2"]


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
async def test_the_one_door_offers_what_the_gateway_runs(place: Place, mode: str) -> None:
    async with mcp_client(place.gateway.door, place.issuer.token("alice", place.gateway.door), mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"own__echo", "shared__echo", "old__echo", "git__git_status"} <= names
        for target in ("own", "old"):
            result = await client.call_tool(f"{target}__echo", {"text": "through the door"})
            assert "through the door" in str(result.content)


async def test_what_a_rule_denies_never_reaches_the_server(place: Place) -> None:
    # It writes two million bytes, were it called.
    answer = await post(place.url(), place.token(), call("flood"))
    assert "Not that." in answer.text


async def test_the_server_finds_nothing_of_the_gateways(place: Place) -> None:
    found = json.loads(await said(place, "environment", "own", MODERN))
    assert set(found) - {"LC_CTYPE"} <= {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "LEVEL"}
    assert found["LEVEL"] == "debug"
    bridge = place.gateway.part("bridge")
    # Nor can it look: to other processes of its user, the bridge's memory and environment are closed.
    status = Path(f"/proc/{bridge.pid}/environ").stat()
    assert status.st_uid == 0


async def test_two_callers_have_two_processes_and_neither_has_the_others_session(place: Place) -> None:
    opened = await post(place.url(), place.token(), INITIALIZE, era=LEGACY)
    session = {"mcp-session-id": opened.headers["mcp-session-id"]}
    ours = await post(place.url(), place.token(), call("pid"), era=LEGACY, headers=session)
    assert ours.status_code == 200
    theirs = await post(place.url(), place.token(person="carol"), call("pid"), era=LEGACY, headers=session)
    assert theirs.status_code == 404
    assert await said(place, "pid", "own", LEGACY) != ours.text
    # Somebody's session keeps the shared one running, however long the others take to come.
    kept = await post(place.url("shared"), place.token("shared"), INITIALIZE, era=LEGACY)
    assert kept.status_code == 200
    assert await said(place, "pid", "shared", LEGACY) == await said(place, "pid", "shared", LEGACY)
    async with httpx.AsyncClient() as http:
        ended = await http.delete(place.url(), headers=session | {"authorization": f"Bearer {place.token()}"})
    assert ended.is_success
    over = await post(place.url(), place.token(), call("pid"), era=LEGACY, headers=session)
    assert over.status_code == 404


async def test_a_caller_who_names_another_caller_is_still_themselves(place: Place) -> None:
    headers = {"x-countersign-principal": "forged", "x-countersign-session": "forged", "x-countersign-service": "x"}
    answer = await post(place.url(), place.token(), call("echo", {"text": "me"}), headers=headers)
    assert answer.status_code == 200
    assert "me" in answer.text


async def test_a_call_whose_server_dies_is_an_error_that_is_recorded(place: Place) -> None:
    token = place.token()
    answer = await post(place.url(), token, call("die", {}, "mortal"))
    assert answer.status_code == 502
    assert "error" in messages(answer)[0]
    again = await post(place.url(), token, call("echo", {"text": "anew"}))
    assert "anew" in again.text
    died = await place.recorded("die")
    assert [event.kind for event in died] == [event_pb2.EVENT_KIND_REQUEST, event_pb2.EVENT_KIND_RESPONSE]


async def test_the_server_of_who_is_revoked_ends(place: Place) -> None:
    before = place.below()
    answer = await post(place.url(), place.token(sub="mallory"), call("echo", {"text": "in"}))
    assert answer.status_code == 200
    theirs = place.below() - before
    assert len(theirs) >= 2
    operator = (("authorization", f"Bearer {place.issuer.token('carol', place.gateway.url)}"),)
    revocation = revocations_pb2.Revocation(
        kind=revocations_pb2.REVOCATION_KIND_PRINCIPAL, issuer=place.issuer.url, value="mallory", reason="tried"
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{place.gateway.port}") as channel:
        revoking = RevocationServiceStub(channel)
        await revoking.Revoke(revocations_pb2.RevokeRequest(revocation=revocation), metadata=operator)
    await until(lambda: not theirs & place.below())


async def test_a_killed_bridge_takes_its_servers_along_and_calls_fail_until_it_is_back(place: Place) -> None:
    asking = asyncio.ensure_future(post(place.url(), place.token(), call("slow", {"mark": "none"})))
    await until(lambda: len(place.below()) >= 2)
    servers = place.below()
    place.gateway.kill("bridge")
    answer = await asking
    assert answer.status_code in (502, 503)
    await until(lambda: not any(psutil.pid_exists(pid) for pid in servers))
    kinds = [event.kind for event in await place.recorded("slow")]
    assert kinds == [event_pb2.EVENT_KIND_REQUEST, event_pb2.EVENT_KIND_RESPONSE]

    async def works() -> bool:
        return (await post(place.url(), place.token(), call("echo", {"text": "back"}))).status_code == 200

    async with asyncio.timeout(30):
        while not await works():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)
