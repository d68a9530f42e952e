"""`countersign up` runs the approver when rules ask for approval, and leads people to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

import grpc
import httpx
import pytest

from tests.fault.rig import RULES, TARGET, Rig, eventually, running_rig
from tests.support.approvers import approval_service
from tests.support.gateway import Gateway

ASKING: Mapping[str, object] = {
    "name": "owners agree",
    "approve": {"groups": ["analysts"], "targets": [TARGET], "tools": ["drop_*"]},
    "by": {"groups": ["data-owners"]},
}
START_S = 30.0


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


def owner(rig: Rig) -> str:
    """A token of somebody who may approve, for the gateway itself."""
    return rig.hold(rig.issuer.token("alice", rig.gateway.url, sub="dora", groups=["data-owners"]))


def runs(gateway: Gateway) -> bool:
    try:
        return gateway.part("approver").is_running()
    except LookupError:
        return False


def parts(gateway: Gateway) -> dict[str, object]:
    """What ``countersign status`` shows, by part."""
    command = [sys.executable, "-m", "countersign.cli.main", "status", "--state", str(gateway.state), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    answers: dict[str, object] = json.loads(told.stdout)["parts"]
    return answers


async def test_the_approver_runs_from_the_edit_on_that_asks_for_approval(rig: Rig) -> None:
    gateway = rig.gateway
    assert not runs(gateway)
    assert set(parts(gateway)) == {"recorder", "authz", "masker"}
    async with approval_service(gateway.url, owner(rig)) as service:
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await service.list()
        assert away.value.code() is grpc.StatusCode.UNAVAILABLE

        gateway.reconfigure(replace(gateway.setup, rules=(*RULES, ASKING)))
        await eventually(lambda: gateway.says("approver:     ready after"), START_S, "the approver's start")
        assert await service.list() == []
        assert parts(gateway)["approver"] is not None
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            assert "sign_in" in (await http.get("/approvals/")).text, "what the page says while nobody can sign in"

        dead = gateway.kill("approver")
        await rig.until_restarted("approver", dead)
        assert await service.list(to_decide=True) == []


async def test_nobody_unknown_asks_about_approvals_and_nobody_asks_as_the_gateway(rig: Rig) -> None:
    async with approval_service(rig.gateway.url, "nobody's") as stranger:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stranger.list()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    path = "/countersign.api.approvals.v1.ApprovalBrokerService/Ask"
    async with httpx.AsyncClient(base_url=rig.gateway.url) as http:
        answer = await http.post(path, headers={"authorization": f"Bearer {owner(rig)}"})
    assert answer.status_code == 404
