"""An approval is bound to one exact call: whatever a target could tell apart has another digest, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from countersign.authz.approving.canonical import canonical_params
from countersign.authz.approving.digest import CallDigests, digests_of
from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.outgoing import restored
from countersign.runtime.sealing import Sealer, WaitState

KEY = bytes(range(32))
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.AGENT, "t1", ("bot", "helper"))
CALL = Call("orders", "tools/call", "query", NameKind.TOOL, "{}")
PARAMS = '{"name":"query","arguments":{"sql":"select 1","limit":10}}'

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=3), child, max_size=3),
    max_leaves=8,
)


def digests(
    *,
    principal: Principal = ALICE,
    call: Call = CALL,
    params: str = PARAMS,
    pin: bytes = b"pin",
    version: str = "v1",
    key: bytes = KEY,
) -> CallDigests:
    return digests_of(key, principal, call, params, pin, version)


def params_of(arguments: object) -> str:
    return json.dumps({"name": "query", "arguments": arguments})


def respelt(value: Any, draw: st.DrawFn) -> str:
    """Write a value as another client could: keys in any order, white space anywhere, escapes at will."""
    blank = draw(st.sampled_from(["", " ", "\n\t"]))
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        members = (f"{respelt(key, draw)}{blank}:{blank}{respelt(value[key], draw)}" for key in keys)
        return f"{{{blank}{f'{blank},'.join(members)}{blank}}}"
    if isinstance(value, list):
        return f"[{blank}{f',{blank}'.join(respelt(child, draw) for child in value)}{blank}]"
    if isinstance(value, str) and draw(st.booleans()):
        units = value.encode("utf-16-be", "surrogatepass")
        return '"' + "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)) + '"'
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def variations() -> Iterator[tuple[str, CallDigests]]:
    yield "as it is", digests()
    yield "issuer", digests(principal=replace(ALICE, issuer="https://other.test"))
    yield "subject", digests(principal=replace(ALICE, subject="bob"))
    yield "issuer and subject moved", digests(principal=replace(ALICE, issuer="https://idp.testa", subject="lice"))
    yield "one actor", digests(principal=replace(ALICE, actors=("bot",)))
    yield "actors joined", digests(principal=replace(ALICE, actors=("bothelper",)))
    yield "actors swapped", digests(principal=replace(ALICE, actors=("helper", "bot")))
    yield "target", digests(call=replace(CALL, target="billing"))
    yield "method", digests(call=replace(CALL, method="prompts/get"))
    yield "name", digests(call=replace(CALL, name="drop"))
    yield "method and name moved", digests(call=replace(CALL, method="tools/callq", name="uery"))
    yield "kind of name", digests(call=replace(CALL, name_kind=NameKind.PROMPT))
    yield "no params", digests(params="")
    yield "empty params", digests(params="{}")
    yield "another member", digests(params=PARAMS[:-1] + ',"cursor":"c"}')
    yield "state of the target", digests(params=PARAMS[:-1] + ',"requestState":"theirs"}')
    yield "another state", digests(params=PARAMS[:-1] + ',"requestState":"their"}')
    yield "answers for the target", digests(params=PARAMS[:-1] + ',"inputResponses":{"a":{"action":"accept"}}}')
    for number in ("1", "1.0", "1e0", "10", "true", '"1"', "[1]"):
        yield f"limit {number}", digests(params='{"name":"query","arguments":{"limit":' + number + "}}")


def test_whatever_tells_two_calls_apart_tells_their_digests_apart() -> None:
    found = dict(variations())
    assert len({each.what for each in found.values()}) == len(found)
    assert len({each.digest for each in found.values()}) == len(found)
    assert {len(part) for each in found.values() for part in (each.what, each.digest)} == {32}


def test_the_tool_and_the_policy_are_part_of_the_digest_alone() -> None:
    found = [digests(), digests(pin=b"other"), digests(version="v2"), digests(pin=b"pinv", version="1")]
    assert len({each.what for each in found}) == 1
    assert len({each.digest for each in found}) == 4
    assert found[0].what != found[0].digest


def test_another_token_or_group_of_the_same_caller_asks_for_the_same() -> None:
    assert digests(principal=replace(ALICE, token_id="t2", groups=())) == digests()


def test_nobody_without_the_key_can_tell_what_was_asked() -> None:
    other = digests(key=bytes(range(1, 33)))
    assert {other.what, other.digest}.isdisjoint({digests().what, digests().digest})


def test_where_clients_count_and_trace_their_tries_is_no_part_of_a_call() -> None:
    tried = PARAMS[:-1] + ',"_meta":{"progressToken":7,"traceparent":"00-1"}}'
    assert digests(params=tried) == digests()


def test_a_state_that_reaches_the_target_is_part_of_the_call_whatever_it_looks_like() -> None:
    state = Sealer(KEY).seal_wait(ALICE, "orders", WaitState("a1", b"w", b"d", 1))
    sent = json.dumps({**json.loads(PARAMS), "requestState": state})
    other = sent.replace('"cs-wait1.', '"\\u0063s-wait1.x')
    assert len({digests().what, digests(params=sent).what, digests(params=other).what}) == 3
    message = f'{{"params":{sent}}}'.encode()
    assert digests(params=json.dumps(json.loads(restored(message, "{}"))["params"])) == digests()


@given(st.data(), VALUES)
def test_another_spelling_of_the_same_call_has_its_digests(data: st.DataObject, arguments: Any) -> None:
    said = {"name": "query", "arguments": arguments}
    text = data.draw(st.composite(lambda draw: respelt(said, draw))())
    assert digests(params=text) == digests(params=json.dumps(said))


@given(VALUES, VALUES)
def test_another_argument_is_another_call(one: Any, other: Any) -> None:
    # Python takes 1 for True and for 1.0; their texts tell.
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert digests(params=params_of(one)).what != digests(params=params_of(other)).what


@given(VALUES)
def test_the_canonical_text_says_the_same_and_stays_as_it_is(value: Any) -> None:
    written = canonical_params(json.dumps({"arguments": value}))
    assert json.loads(written) == {"arguments": value}
    assert canonical_params(written.decode()) == written


def test_keys_are_in_order_at_every_depth() -> None:
    written = canonical_params('{"b":{"d":[{"z":0,"\\u0061":1}],"c":2},"a":3}')
    assert written == b'{"a":3,"b":{"c":2,"d":[{"a":1,"z":0}]}}'
    keys = [chr(point) for point in (0x20, 0x41, 0xFB33, 0x1F600)]
    positions = [canonical_params(json.dumps(dict.fromkeys(reversed(keys), 0))).decode().index(key) for key in keys]
    assert all(before < after for before, after in pairwise(positions))


def test_params_that_are_not_json_have_no_digest() -> None:
    for text in ("{", '{"a":1,"a":2}', "NaN"):
        with pytest.raises(ValueError):
            digests(params=text)
