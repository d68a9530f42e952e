"""Made-up requests through the real Envoy to real targets: what is executed was judged, allowed and recorded before."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.differential.reports import FOLDER
from tests.differential.sending import HIDDEN, send_all, wires
from tests.differential.targets import Executed, Target, canonical, python_target, typescript_target
from tests.differential.wires import TRICKS
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, call, post
from tests.support.gateway import Gateway, Setup, Upstream
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer

SEED = 1
REQUESTS = 3_000
METHODS = {"tools/call", "prompts/get", "resources/read"}
RULES = (
    {"name": "much", "allow": {"groups": ["analysts"], "tools": ["*"], "prompts": ["*"], "resources": ["db://**"]}},
    {"name": "no deletions", "deny": {"targets": ["*"], "tools": ["delete_*"]}},
    {"name": "no paths", "deny": {"targets": ["*"], "tools": ["*"]}, "when": "has(args.path)"},
)


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    issuer: RunningIssuer
    targets: dict[str, Target]

    def token(self, target: str) -> str:
        return self.issuer.token("alice", self.gateway.endpoint(target))

    async def recorded(self, target: str) -> list[event_pb2.RecordedEvent]:
        """The requests that the record says were let pass."""
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as sessions:
            listed = await sessions.list_sessions(
                session_pb2.SessionFilter(subject="alice", issuer=self.issuer.url, target=target)
            )
            events = [one for session in listed for one in await sessions.replay(session.session_id)]
        return [one for one in events if one.event.kind == event_pb2.EVENT_KIND_REQUEST and is_allowed(one.event)]


def is_allowed(event: event_pb2.Event) -> bool:
    return event.decision.outcome == event_pb2.OUTCOME_ALLOW


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with running_issuer() as issuer, python_target() as python, typescript_target() as typescript:
        targets: dict[str, Target] = {"python": python, "typescript": typescript}
        upstreams = {name: Upstream(each.url, extra={"new_tools": "allow"}) for name, each in targets.items()}
        yield Place(in_turn.take(Setup(issuer.url, upstreams, RULES, {})), issuer, targets)


@dataclass(frozen=True)
class Done:
    """Answers by kind and status; what targets executed and what the record says, each by target."""

    told: Counter[str]
    executed: dict[str, list[Executed]]
    recorded: dict[str, list[event_pb2.RecordedEvent]]


@pytest.fixture(scope="module")
def done(place: Place) -> Done:
    found = asyncio.run(everything(place))
    executed = [f"{len(calls):6} executed by {name}" for name, calls in found.executed.items()]
    lines = [f"{count:6} {kind}" for kind, count in sorted(found.told.items())]
    text = "\n".join([f"through Envoy, seed {SEED}, {found.told.total()} requests", *lines, *executed, ""])
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "through-envoy.txt").write_text(text)
    print(text)
    return found


async def everything(place: Place) -> Done:
    doors = [(f"/{name}/mcp", place.token(name)) for name in place.targets]
    told = await send_all(place.gateway.port, wires(SEED, REQUESTS, f"127.0.0.1:{place.gateway.port}", doors))
    for name in place.targets:
        # What was sent before it has arrived or never will.
        answer = await post(place.gateway.endpoint(name), place.token(name), call("last"), era=LEGACY)
        assert answer.status_code == 200
    executed = {name: each.executed() for name, each in place.targets.items()}
    return Done(told, executed, {name: await place.recorded(name) for name in place.targets})


# As long as it takes on a machine that others keep busy.
@pytest.mark.timeout(600)
def test_requests_of_every_kind_were_answered_and_many_executed(done: Done) -> None:
    assert done.told.total() == REQUESTS
    assert {kind.split()[0] for kind in done.told} == {"body", *TRICKS}
    for executed in done.executed.values():
        assert len(executed) > REQUESTS / 40
        assert {each.method for each in executed} == METHODS


@pytest.mark.parametrize("target", ["python", "typescript"])
def test_no_hidden_request_is_executed_nor_what_no_rule_allows(done: Done, target: str) -> None:
    tools = [each for each in done.executed[target] if each.method == "tools/call"]
    assert HIDDEN not in {each.name for each in tools}
    assert not any("path" in (json.loads(each.arguments) or {}) for each in tools)
    assert all(each.name.startswith("db://") for each in done.executed[target] if each.method == "resources/read")


@pytest.mark.parametrize("target", ["python", "typescript"])
def test_each_executed_call_was_recorded_as_allowed_before(done: Done, target: str) -> None:
    recorded: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for one in done.recorded[target]:
        params = json.loads(one.event.body) if one.event.body else {}
        asked = (one.event.method, one.event.name, canonical(params.get("arguments")))
        recorded[asked].append(one.recorded_at.ToMicroseconds())
    executed: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for each in done.executed[target]:
        executed[key_of(each)].append(each.at_us)
    for asked, times in executed.items():
        # One event each, the first of which was there when the first was executed, and so on.
        events = sorted(recorded[asked])
        assert len(events) >= len(times), asked
        assert all(event <= at for event, at in zip(events, sorted(times), strict=False)), asked


def key_of(executed: Executed) -> tuple[str, str, str]:
    return executed.method, executed.name, executed.arguments
