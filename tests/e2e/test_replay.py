"""What was done is on the record, and auditors, and nobody else, read it through the gateway."""

from __future__ import annotations

import json

import grpc
import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.demo.steps import SQL
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODES, call, mcp_client, post


async def newest(world: World, subject: str) -> session_pb2.Session:
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        query = session_pb2.SessionFilter(subject=subject, target="orders")
        return (await sessions.list_sessions(query))[0]


async def replayed(world: World, session_id: str) -> list[event_pb2.RecordedEvent]:
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        return await sessions.replay(session_id)


@pytest.mark.parametrize("mode", MODES)
async def test_a_session_replays_as_it_went(world: World, mode: str) -> None:
    async with mcp_client(world.orders, world.token("alice"), mode) as client:
        await client.call_tool("query", {"sql": SQL})
        await client.call_tool("export_table", {"table": "customers"})
    session = await newest(world, "alice")
    assert session.principal.issuer == world.issuer.url
    assert list(session.principal.groups) == ["analysts"]
    events = await replayed(world, session.session_id)
    assert [event.sequence for event in events] == list(range(len(events)))
    asked = {
        event.event.name: event.event
        for event in events
        if event.event.kind == event_pb2.EVENT_KIND_REQUEST and event.event.method == "tools/call"
    }
    assert asked["query"].decision.outcome == event_pb2.OUTCOME_ALLOW
    assert list(asked["query"].decision.rules) == ["analysts read"]
    assert json.loads(asked["query"].body)["arguments"] == {"sql": SQL}
    assert asked["query"].source_address
    assert asked["export_table"].decision.outcome == event_pb2.OUTCOME_DENY
    assert list(asked["export_table"].decision.rules) == ["no exports"]
    assert asked["export_table"].decision.policy_version == asked["query"].decision.policy_version != ""
    answer = [
        event.event
        for event in events
        if event.event.call_id == asked["query"].call_id and event.event.kind != event_pb2.EVENT_KIND_REQUEST
    ]
    assert answer, "the answer is on the record, too"
    labels = {finding.label for event in answer for finding in event.findings}
    assert {"EMAIL", "SSN", "CARD"} <= labels
    assert b"@example." not in b"".join(event.body for event in answer)


async def test_a_replay_may_begin_at_any_event(world: World) -> None:
    async with mcp_client(world.orders, world.token("alice"), LEGACY) as client:
        await client.call_tool("query", {"sql": "SELECT 1"})
    session = await newest(world, "alice")
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        whole = await sessions.replay(session.session_id)
        later = await sessions.replay(session.session_id, from_sequence=2)
        got = await sessions.get(session.session_id)
    assert [event.event.event_id for event in later] == [event.event.event_id for event in whole[2:]]
    assert got.event_count == len(whole)


@pytest.mark.parametrize("person", ["alice", "bob"])
async def test_nobody_but_auditors_reads_the_record(world: World, person: str) -> None:
    async with session_service(world.gateway.url, world.auditor_token(person)) as sessions:
        with pytest.raises(grpc.aio.AioRpcError) as listed:
            await sessions.list_sessions()
        with pytest.raises(grpc.aio.AioRpcError) as read:
            await sessions.replay("00000000-0000-4000-8000-000000000000")
    assert listed.value.code() == read.value.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("token", [None, "nonsense"])
async def test_nobody_anonymous_reads_the_record(world: World, token: str | None) -> None:
    async with session_service(world.gateway.url, token) as sessions:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await sessions.list_sessions()
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_for_a_target_does_not_open_the_record(world: World) -> None:
    async with session_service(world.gateway.url, world.token("carol")) as sessions:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await sessions.list_sessions()
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_forged_principal_header_counts_for_nothing(world: World) -> None:
    async with session_service(world.gateway.url, world.auditor_token("alice")) as sessions:
        asked = session_pb2.ListSessionsRequest()
        metadata = (("authorization", f"Bearer {sessions.token}"), ("x-countersign-principal", "carol"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await sessions.stub.ListSessions(asked, metadata=metadata, timeout=15)
    assert refused.value.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


async def test_what_an_auditor_reads_is_itself_recorded(world: World) -> None:
    await post(world.orders, world.token("alice"), call("list_tables"))
    session = await newest(world, "alice")
    await replayed(world, session.session_id)
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        reads = await sessions.list_sessions(session_pb2.SessionFilter(subject="carol", target="countersign"))
        assert reads
        events = [event for read in reads for event in await sessions.replay(read.session_id)]
    assert any(
        event.event.kind == event_pb2.EVENT_KIND_AUDIT_READ
        and session.session_id in event.event.name + event.event.reason + event.event.body.decode()
        for event in events
    )


async def reflected(world: World, person: str) -> list[str]:
    async with grpc.aio.insecure_channel(world.gateway.url.removeprefix("http://")) as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]),
            metadata=(("authorization", f"Bearer {world.auditor_token(person)}"),),
            timeout=15,
        )
        return [service.name for answer in [await stream.read()] for service in answer.list_services_response.service]


async def test_auditors_and_nobody_else_learn_by_reflection_what_there_is_to_ask(world: World) -> None:
    assert "countersign.api.recorder.v1.SessionService" in await reflected(world, "carol")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reflected(world, "alice")
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_the_writing_side_of_the_recorder_is_not_reachable(world: World) -> None:
    method = "/countersign.api.recorder.v1.RecorderService/Append"
    async with grpc.aio.insecure_channel(world.gateway.url.removeprefix("http://")) as channel:
        # As one message: a stream that is refused at once would race its own writes.
        append: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        metadata = (("authorization", f"Bearer {world.auditor_token()}"),)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await append(b"", metadata=metadata, timeout=15)
    assert refused.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED)
