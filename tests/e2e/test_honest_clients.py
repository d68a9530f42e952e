"""What real clients do when a call is denied or held, a session is over, or the gateway was restarted: they go on."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.matrix.cells import AUTO, CLIENTS, LEGACY, drive
from tests.matrix.peers import Peer
from tests.matrix.steps import Door, Run, Saw, Step, call, listing, lost, wait
from tests.support.approvers import approval_service
from tests.support.clients import MODERN, Rpc, post
from tests.support.gateway import ISSUE_MASKS, Gateway, Setup, wait_until
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer

PAIRS = (("python", AUTO), ("python", LEGACY), ("fastmcp", AUTO), ("sdk1", LEGACY), ("sdk2", LEGACY), ("sdk2", AUTO))
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "everybody may all", "allow": {"groups": ["analysts"], "targets": ["*"]}, "mask": ["secrets", "pii"]},
    {"name": "not that", "deny": {"tools": ["refuses"]}, "message": "Ask the archive."},
    {
        "name": "owners agree",
        "approve": {"groups": ["analysts"], "tools": ["rows"]},
        "by": {"groups": ["data-owners"], "reuse": "30m"},
    },
)
WAIT_S = 100.0
DIRECT = "directly "


@dataclass(frozen=True, slots=True)
class Seen:
    """What every client saw, by the name of its run, and what the same calls are directly."""

    through: Mapping[str, Mapping[str, Any]]
    direct: Mapping[str, Mapping[str, Any]]


def steps(file: Path | None) -> list[Step]:
    """The day of an honest client; without a file nothing but what a server without a gateway has."""
    held = [listing("tools"), call("held", "rows", {"count": 2})]
    if file is None:
        return held
    return [
        *held,
        call("denied", "refuses"),
        call("masked", "contact"),
        wait(str(file)),
        call("restarted", "echo", {"text": "still here"}),
        lost("echo", {"text": "here again"}),
    ]


def name(pair: tuple[str, str]) -> str:
    return " ".join(pair)


@pytest.fixture(scope="module")
def seen(in_turn: InTurn, peers: Mapping[str, Peer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("signs")
    with running_issuer() as issuer, ThreadPoolExecutor(len(PAIRS)) as pool:
        upstream = {"official": peers["official"].upstream()}
        gateway = in_turn.take(Setup(issuer.url, upstream, RULES, ISSUE_MASKS, {"approvals": {"hold": "60s"}}))
        files = {pair: folder / str(at) for at, pair in enumerate(PAIRS)}
        clients = {client.name: client for client in CLIENTS}
        # Each in a process of its own, since all of them wait at the same place.
        told = [
            pool.submit(drive, clients[pair[0]], _runs(pair, peers, gateway, issuer, files[pair])) for pair in PAIRS
        ]
        asyncio.run(_agree(gateway, issuer, len(PAIRS)))
        heres = [file.with_name(f"{file.name}.here") for file in files.values()]
        wait_until(lambda: _all_here(heres, told), WAIT_S, lambda: AssertionError("nobody came", heres))
        _restart(gateway, issuer)
        for file in files.values():
            file.with_name(f"{file.name}.go").touch()
        by_run: dict[str, dict[str, Any]] = {}
        for saw in (saw for future in told for saw in future.result()):
            by_run.setdefault(saw.run, {})[saw.step] = saw.what
        yield Seen(
            {name(pair): by_run[name(pair)] for pair in PAIRS},
            {name(pair): by_run[DIRECT + name(pair)] for pair in PAIRS},
        )


def _runs(
    pair: tuple[str, str], peers: Mapping[str, Peer], gateway: Gateway, issuer: RunningIssuer, file: Path
) -> list[Mapping[str, Any]]:
    endpoint = gateway.endpoint("official")
    # A person each: what is agreed to for one is not agreed to for another.
    door = Door(url=endpoint, token=issuer.token("alice", endpoint, sub=f"alice {file.name}"))
    direct = Run(DIRECT + name(pair), pair[1], peers["official"].door, steps(None))
    return [direct.written(), Run(name(pair), pair[1], door, steps(file)).written()]


async def _agree(gateway: Gateway, issuer: RunningIssuer, to: int) -> None:
    token = issuer.token("alice", gateway.url, sub="dora", groups=["data-owners"])
    async with approval_service(gateway.url, token) as service:
        for _ in range(to):
            await service.decide(await service.wait_for(timeout_s=WAIT_S))


def _all_here(heres: list[Path], told: list[Future[list[Saw]]]) -> bool:
    for future in told:
        if future.done():
            raise AssertionError(f"it ended before its time: {future.result()}")
    return all(here.exists() for here in heres)


def _restart(gateway: Gateway, issuer: RunningIssuer) -> None:
    """Kill all that a call passes, and return when calls pass again."""
    parts = ("envoy", "authz", "masker", "recorder")
    dead = {part: gateway.kill(part, signal.SIGKILL).pid for part in parts}
    endpoint = gateway.endpoint("official")
    token = issuer.token("alice", endpoint)

    def serves() -> bool:
        try:
            again = all(gateway.part(part).pid != dead[part] for part in parts)
            return again and asyncio.run(post(endpoint, token, Rpc("tools/list"), era=MODERN)).status_code == 200
        except (LookupError, httpx.HTTPError):
            return False

    wait_until(serves, WAIT_S, lambda: AssertionError("it does not come back", gateway.output()))


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_a_call_that_people_agreed_to_is_answered_as_if_it_had_not_been_held(seen: Seen, pair: tuple[str, str]) -> None:
    assert seen.through[name(pair)]["held"] == seen.direct[name(pair)]["held"]
    assert seen.through[name(pair)]["held"]["result"]["structuredContent"]["rows"]


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_a_denied_call_is_a_result_that_a_model_can_read(seen: Seen, pair: tuple[str, str]) -> None:
    denied = seen.through[name(pair)]["denied"]["result"]
    assert denied["isError"]
    assert "Ask the archive." in json.dumps(denied["content"])


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_masked_values_are_what_the_clients_schema_check_accepts(seen: Seen, pair: tuple[str, str]) -> None:
    masked = seen.through[name(pair)]["masked"]["result"]
    assert not masked.get("isError")
    assert "lovelace" not in json.dumps(masked)
    assert "@" in masked["structuredContent"]["mail"], "what its pattern demands"


@pytest.mark.parametrize("pair", PAIRS, ids=name)
def test_a_connection_outlives_a_restart_of_the_gateway(seen: Seen, pair: tuple[str, str]) -> None:
    assert "still here" in json.dumps(seen.through[name(pair)]["restarted"]["result"]["content"])


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[1] == LEGACY], ids=name)
def test_a_client_whose_session_is_over_hears_so_and_opens_another(seen: Seen, pair: tuple[str, str]) -> None:
    lost_session = seen.through[name(pair)]["lost"]["result"]
    assert lost_session["failed"]
    assert "here again" in json.dumps(lost_session["again"]["content"])
