"""Made-up requests through the real Envoy to real targets: what is executed was judged, allowed and recorded before."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.differential.reports import FOLDER
from tests.differential.sending import HIDDEN, Door, send_all, wires
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
        yield Place(in_turn.take(Setup(issuer.url, upstreams, RULES, {}, hub=True)), issuer, targets)


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
    doors = [Door(f"/{name}/mcp", place.token(name)) for name in place.targets]
    # The one door for all, where each target's calls are judged and recorded as its own.
    one = place.issuer.token("alice", place.gateway.door)
    doors += [Door("/mcp", one, name) for name in place.targets]
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
    kinds = {"body", *TRICKS}
    assert {kind.split()[0] for kind in done.told} == kinds | {f"{kind}-at-the-door" for kind in kinds}
    assert min(done.told["body 200"], done.told["body-at-the-door 200"]) > REQUESTS / 60
    for executed in done.executed.values():
        assert len(executed) > REQUESTS / 40
        assert {each.method for each in executed} == METHODS


@pytest.mark.parametrize("target", ["python", "typescript"])
def test_no_hidden_request_is_executed_nor_what_no_rule_allows(done: Done, target: str) -> None:
    tools = [each for each in done.executed[target] if each.method == "tools/call"]
    assert HIDDEN not in {each.name for each in tools}
    assert not any("path" in (json.loads(each.arguments) or {}) for each in tools)
    assert all(each.name.startswith("db://") for each in done.executed[target] if each.method == "resources/read")


Judged = tuple[str, str, str, int]
"""Method, name and arguments of a call that was allowed, and when that was recorded, in microseconds."""


def unjudged(executed: Sequence[Executed], judged: Sequence[Judged]) -> list[Executed]:
    """Calls that were executed without an event of their own that was there before them."""
    recorded: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for method, name, arguments, at_us in sorted(judged, key=lambda one: one[-1]):
        recorded[method, name, arguments].append(at_us)
    found = []
    for each in sorted(executed, key=lambda one: one.at_us):
        events = recorded[each.method, each.name, each.arguments]
        # The first event accounts for the first call that was executed, and so on.
        if not events or events.pop(0) > each.at_us:
            found.append(each)
    return found


def as_judged(one: event_pb2.RecordedEvent) -> Judged:
    params = json.loads(one.event.body) if one.event.body else {}
    arguments = canonical(params.get("arguments"))
    return one.event.method, one.event.name, arguments, one.recorded_at.ToMicroseconds()


@pytest.mark.parametrize("target", ["python", "typescript"])
def test_each_executed_call_was_recorded_as_allowed_before(done: Done, target: str) -> None:
    assert unjudged(done.executed[target], [as_judged(one) for one in done.recorded[target]]) == []


@pytest.mark.parametrize("target", ["python", "typescript"])
def test_a_call_without_an_event_of_its_own_would_be_noticed(done: Done, target: str) -> None:
    executed, recorded = done.executed[target], [as_judged(one) for one in done.recorded[target]]
    again = Executed("tools/call", "query", canonical({"sql": "never sent"}), executed[-1].at_us)
    assert unjudged([*executed, again], recorded) == [again]
    one = executed[0]
    key = (one.method, one.name, one.arguments)
    assert one in unjudged(executed, [each for each in recorded if each[:3] != key])
    assert len(unjudged(executed, [(*each[:3], each[3] + 10**12) for each in recorded])) == len(executed)
