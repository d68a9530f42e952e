"""A state that masks change is handed out sealed, where requests come by that can bring it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countersign.mcp import Handle, HandleKind
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import WaitState, is_sealed_state
from tests.unit.masker.exchanging import (
    ALICE,
    CREDENTIAL,
    EVENTS,
    GATEWAY,
    JSON,
    MAIL,
    SEALER,
    Bench,
    refused,
    released,
)
from tests.unit.masker.exchanging import bench as bench
from tests.unit.masker.exchanging import rulebook as rulebook
from tests.unit.masker.test_handles import OWNER, result

STATE = f"step 2 of {MAIL}"
ELSEWHERE = "cs-state1." + "A" * 40
WAIT = SEALER.seal_wait(ALICE, "orders", WaitState("a1", b"w", b"d", 2**52))


async def answered(
    bench: Bench, state: str, content_type: str = JSON, *, era: str = "modern", shown: bytes = b""
) -> dict[str, str]:
    """The result that its caller gets of a target that says this state."""
    await bench.head(content_type, era=era, shown=shown)
    body = result(resultType="input_required", requestState=state, inputRequests={})
    sent = body if content_type == JSON else b"data: %s\n\n" % body
    passed = released(await bench.body(sent, ends=True))
    found: dict[str, str] = json.loads(passed.removeprefix(b"data: "))["result"]
    return found


async def keeps(bench: Bench, state: str) -> bool:
    return None not in await bench.handles.find(OWNER, [Handle(HandleKind.STATE, state)])


@pytest.mark.parametrize("content_type", [JSON, EVENTS])
async def test_a_state_that_masks_change_reaches_its_caller_sealed(bench: Bench, content_type: str) -> None:
    sealed = (await answered(bench, STATE, content_type))["requestState"]
    assert is_sealed_state(sealed)
    assert SEALER.open_state(ALICE, "orders", sealed) == STATE
    assert (await keeps(bench, sealed), await keeps(bench, STATE)) == (True, False), "who guesses it is told nothing"
    (event,) = (each for each in bench.sink.durable if each.body)
    assert MAIL.encode() not in event.body
    assert b"step 2 of [EMAIL]" in event.body
    assert [finding.label for finding in event.findings] == ["EMAIL"]


async def test_any_other_state_reaches_it_as_it_is(bench: Bench) -> None:
    assert (await answered(bench, "step 2"))["requestState"] == "step 2"
    assert await keeps(bench, "step 2")


@pytest.mark.parametrize("state", [ELSEWHERE, WAIT], ids=["state", "wait"])
async def test_what_reads_like_a_state_of_ours_is_sealed_so_that_it_is_not_opened_on_its_way_back(
    bench: Bench, state: str
) -> None:
    sealed = (await answered(bench, state))["requestState"]
    assert SEALER.open_state(ALICE, "orders", sealed) == state
    assert (await keeps(bench, sealed), await keeps(bench, state)) == (True, False)


async def test_older_clients_know_no_states(bench: Bench) -> None:
    assert (await answered(bench, STATE, era="legacy"))["requestState"] == "step 2 of [EMAIL]"
    assert bench.handles.kept == {}


@pytest.mark.parametrize(("says", "seals"), [("", False), (", seal_states: true", True)])
async def test_it_is_sealed_only_where_requests_pass_the_masker(
    tmp_path: Path, rules_cache: Path, says: str, seals: bool
) -> None:
    (path := tmp_path / "gateway.yaml").write_text(
        GATEWAY.replace("  - {name: risky", "  # {name: risky").replace("binary: pass", f"binary: pass{says}")
    )
    bench = Bench(Rulebook(path, {}, rules_cache, reads=()))
    said = (await answered(bench, STATE))["requestState"]
    assert (is_sealed_state(said), await keeps(bench, said)) == (seals, seals)


async def test_what_cannot_be_kept_is_not_handed_out_sealed_either(bench: Bench) -> None:
    bench.handles.away = True
    await bench.head(JSON, era="modern")
    assert refused(await bench.body(result(resultType="input_required", requestState=STATE), ends=True)) == 502


async def test_no_seal_hides_what_its_target_was_shown(bench: Bench) -> None:
    await bench.head(JSON, era="modern", shown=CREDENTIAL)
    body = result(resultType="input_required", requestState=f"{STATE} by {CREDENTIAL.decode()}")
    assert refused(await bench.body(body, ends=True)) == 502
    assert CREDENTIAL not in repr(bench.sink.durable).encode()
    assert bench.handles.kept == {}
