"""What was heard goes to the recorder whole, and counts for nothing until the recorder has answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.config.types_portal import LogoutSource, SignalSource
from countersign.portal.hears.applying import NotApplied, RecorderFeed
from countersign.portal.hears.logouts import read_logout
from countersign.portal.hears.signals import read_signal
from countersign.portal.hears.told import Heard
from countersign.recorder.revocations import asked
from countersign.recorder.revocations.feed import RevocationFeedServer
from countersign.runtime.trust import SERVICE_HEADER
from tests.support.telling import AUDIENCE, CLIENT, ISSUER, NOW_S, RISC, TRANSMITTER, logout_claims, signal_claims

NOW_US = int(NOW_S * 1_000_000)
LOGOUT = read_logout("logout+jwt", logout_claims(sid=...), LogoutSource(ISSUER, CLIENT), skew_s=5, now_s=NOW_S)
ENABLED, DISABLED = (
    read_signal(
        "secevent+jwt",
        signal_claims(f"{RISC}account-{word}"),
        SignalSource(TRANSMITTER, AUDIENCE, ISSUER, "https://signals.example/keys"),
        by_mail=False,
        skew_s=0,
        now_s=NOW_S,
    )
    for word in ("enabled", "disabled")
)


class Recorder(RevocationFeedServer):
    """Remembers what it was asked; aborts with ``code`` when there is one."""

    def __init__(self) -> None:
        self.asked: list[revocations_pb2.ApplyRevocationsRequest] = []
        self.tokens: list[object] = []
        self.code: grpc.StatusCode | None = None

    async def ApplyRevocations(
        self,
        request: revocations_pb2.ApplyRevocationsRequest,
        context: grpc.aio.ServicerContext[
            revocations_pb2.ApplyRevocationsRequest, revocations_pb2.ApplyRevocationsResponse
        ],
    ) -> revocations_pb2.ApplyRevocationsResponse:
        self.asked.append(request)
        self.tokens += [value for name, value in context.invocation_metadata() or () if name == SERVICE_HEADER]
        if self.code is not None:
            await context.abort(self.code, "canary-detail")
        return revocations_pb2.ApplyRevocationsResponse()


class Rig:
    def __init__(self, recorder: Recorder, feed: RecorderFeed) -> None:
        self.recorder = recorder
        self.feed = feed


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    recorder, server = Recorder(), grpc.aio.server()
    revocations_pb2_grpc.add_RevocationFeedServiceServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    feed = RecorderFeed(f"127.0.0.1:{port}", service_token="the-services-own")
    try:
        yield Rig(recorder, feed)
    finally:
        await feed.close()
        await server.stop(None)


@pytest.mark.parametrize("heard", [LOGOUT, ENABLED, DISABLED], ids=["logout", "enabled", "disabled"])
async def test_the_recorder_takes_what_is_brought_as_it_was_heard(rig: Rig, heard: Heard) -> None:
    await rig.feed.apply(heard)
    (request,) = rig.recorder.asked
    taken = asked.heard(request, NOW_US)
    assert rig.recorder.tokens == ["the-services-own"]
    for brought, told in ((taken.revoked, heard.revocations), (taken.lifted, heard.lifted)):
        assert [one.by_issuer for one in brought] == [heard.teller] * len(told)
        assert [one.source for one in brought] == [heard.source] * len(told)
        found = [one.revocation for one in brought]
        assert [(one.kind, one.issuer, one.value, one.issued_before_s, one.reason) for one in found] == [
            (one.kind, one.issuer, one.value, one.issued_before_s, one.reason) for one in told
        ]


async def test_what_bars_an_account_outlives_what_issuers_tell_otherwise(rig: Rig) -> None:
    for heard in (LOGOUT, DISABLED):
        await rig.feed.apply(heard)
    logout, disabled = (asked.heard(request, NOW_US).revoked[0].revocation for request in rig.recorder.asked)
    assert logout.until_us == NOW_US + asked.HEARD_FOR_US
    assert disabled.until_us > NOW_US + 10 * asked.HEARD_FOR_US


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
async def test_no_answer_but_a_good_one_counts(
    rig: Rig, code: grpc.StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    rig.recorder.code = code
    with pytest.raises(NotApplied) as failed:
        await rig.feed.apply(LOGOUT)
    assert str(failed.value) == code.name
    assert "anna" not in caplog.text
    assert "canary-detail" not in caplog.text


async def test_a_recorder_that_is_away_is_waited_for_but_not_for_long() -> None:
    feed = RecorderFeed("127.0.0.1:1", timeout_s=0.2)
    with pytest.raises(NotApplied):
        await feed.apply(LOGOUT)
    await feed.close()


def test_it_serves_the_loop_that_runs_later() -> None:
    feed = RecorderFeed("127.0.0.1:1", timeout_s=0.2)

    async def tell() -> None:
        with pytest.raises(NotApplied):
            await feed.apply(LOGOUT)
        await feed.close()

    asyncio.run(tell())
