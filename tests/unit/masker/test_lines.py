"""What leaves in a stream besides data: what a client acts on, nothing that masks find, and all of it recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

import pytest

from countersign.masker.exchange import Reset
from countersign.model.event import EventKind, Finding
from tests.unit.masker.exchanging import EVENTS, Bench, released
from tests.unit.masker.exchanging import bench as bench
from tests.unit.masker.exchanging import rulebook as rulebook

MAIL = "canary@" + "example.org"
UUID_OF_A_SERVER = UUID("8a27e4ba-227d-4be4-b672-ab88d0a393cc")
CREDENTIAL = b"5207408d5f924ca6a8c96698022e0db1"
# Of the shape of a token of GitHub; no mask of these tests' callers finds it, the record's does.
SECRET = "ghp_" + "x7Kp2Qm9Lz4Rt8Wn3Bv6Yc1Fd5Gh0JsAaEe"
UNKNOWN = "an event of a name that MCP does not have: withheld"
ALIVE = b":\n\n"


def note(text: str) -> bytes:
    said = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": text}}
    return b"data: %s\n\n" % json.dumps(said).encode()


def recorded(bench: Bench) -> Sequence[tuple[str, bool, str]]:
    """Of each event of the stream on the record: its other lines, whether it has data, and why it was withheld."""
    return [
        (one.other_lines, bool(one.body), one.reason)
        for one in bench.sink.durable
        if one.kind is EventKind.STREAM_EVENT
    ]


async def test_what_no_client_reads_of_a_stream_is_not_released(bench: Bench) -> None:
    await bench.head(EVENTS)
    remarks = b": not on the record\nData: not on the record\nnot on the record\nid: 7\nevent: message\n"
    shown = released(await bench.body(b": alive\n\n" + remarks + note("said")))
    assert shown == ALIVE + b"id: 7\nevent: message\n" + note("said")


@pytest.mark.parametrize(
    "event_id", ["7", str(UUID_OF_A_SERVER), f"{UUID_OF_A_SERVER}_1790000000000_k3j9x2ab", "_GET_stream:12"]
)
async def test_ids_that_servers_make_are_released_and_recorded(bench: Bench, event_id: str) -> None:
    await bench.head(EVENTS)
    line = f"id: {event_id}\n".encode()
    assert released(await bench.body(line + note("said"))) == line + note("said")
    assert recorded(bench) == [(f"id: {event_id}", True, "")]


@pytest.mark.parametrize("given", [MAIL, f"7_{MAIL}", SECRET, CREDENTIAL.decode()])
async def test_an_id_that_holds_what_must_be_masked_stays_behind(bench: Bench, given: str) -> None:
    await bench.head(EVENTS, shown=CREDENTIAL)
    shown = released(await bench.body(f"id: {given}\nretry: 70\n".encode() + note("said")))
    assert shown == b"retry: 70\n" + note("said")
    assert recorded(bench) == [("retry: 70", True, "")]
    assert given not in repr(bench.sink.durable)


async def test_what_was_found_in_an_id_is_on_the_record(bench: Bench) -> None:
    await bench.head(EVENTS)
    assert released(await bench.body(f"id: {MAIL}\n\n".encode())) == ALIVE
    assert released(await bench.body(f"id: {MAIL}\n".encode() + note(MAIL))) == note("[EMAIL]")
    assert [set(one.findings) for one in bench.sink.durable] == [
        {Finding("EMAIL", "$.params.data"), Finding("EMAIL", "id")}
    ]


@pytest.mark.parametrize("given", [b"two words", b"x" * 257, "é".encode(), b"a\0b", b"a\tb"])
async def test_an_id_that_could_say_more_than_an_id_stays_behind(bench: Bench, given: bytes) -> None:
    await bench.head(EVENTS)
    assert released(await bench.body(b"id: " + given + b"\n" + note("said"))) == note("said")
    assert recorded(bench) == [("", True, "")]


@pytest.mark.parametrize("name", ["ping", "Message", "message ", "two words", MAIL, "x" * 5_000])
async def test_an_event_of_another_name_is_withheld_whole(bench: Bench, name: str) -> None:
    await bench.head(EVENTS)
    body = f"id: 7\nevent: {name}\n".encode() + note("secret")
    assert released(await bench.body(body + note("said") + f"event: {name}\nid: 8\n\n".encode())) == (
        ALIVE + note("said") + ALIVE
    )
    assert recorded(bench) == [("", False, UNKNOWN), ("", True, "")]
    assert name not in repr(bench.sink.durable)


@pytest.mark.parametrize("primed", [b"id: 7\nretry: 070\ndata:\n\n", b"retry:70\nid:7\ndata\n\n"])
async def test_an_event_that_is_there_for_its_id_is_released_as_it_is_recorded(bench: Bench, primed: bytes) -> None:
    await bench.head(EVENTS)
    assert released(await bench.body(primed)) == b"id: 7\nretry: 70\ndata: \n\n"
    assert recorded(bench) == [("id: 7\nretry: 70\ndata:", False, "")]


async def test_whether_an_event_without_text_has_data_is_on_the_record(bench: Bench) -> None:
    await bench.head(EVENTS)
    assert released(await bench.body(b"id: 7\ndata:\n\nid: 8\n\n")) == b"id: 7\ndata: \n\nid: 8\n\n"
    assert recorded(bench) == [("id: 7\ndata:", False, ""), ("id: 8", False, "")]


async def test_nothing_is_released_for_its_id_before_that_is_durable(bench: Bench) -> None:
    await bench.head(EVENTS)
    bench.sink.refuse = lambda event: bool(event.other_lines)
    with pytest.raises(Reset):
        await bench.body(b"id: 7\n\n")


async def test_the_look_of_an_event_says_nothing(bench: Bench) -> None:
    await bench.head(EVENTS)
    said = note("said").removeprefix(b"data: ").strip()
    first = b"event: message\r\nid: 1\r\ndata: " + said + b"\r\n\r\n"
    odd = b":\n:\ndata:" + said + b"\nid:2\n\n\n\n:\n\n\xef\xbb\xbf"[:-3] + b"data: " + said + b"\r\r"
    shown = released(await bench.body(first + odd + b"\n"))
    event = b"event: message\r\ndata: " + said + b"\r\n\r\n"
    assert shown == b"id: 1\r\n" + event + b"id: 2\r\n" + event + ALIVE + event


@pytest.mark.parametrize("line", [b"event: message", b"id: 7", b"retry: 5"])
async def test_lines_that_stand_twice_cut_the_stream(bench: Bench, line: bytes) -> None:
    await bench.head(EVENTS)
    assert line in released(await bench.body(line + b"\n" + note("said")))
    with pytest.raises(Reset, match="twice"):
        await bench.body(line + b"\n" + line + b"\n" + note("said"))


async def test_a_retry_that_is_no_number_cuts_the_stream(bench: Bench) -> None:
    await bench.head(EVENTS)
    with pytest.raises(Reset):
        await bench.body(b"retry: soon\n" + note("said"))
