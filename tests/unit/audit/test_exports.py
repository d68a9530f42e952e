"""The export of a session: nothing but the truth, whole and in order, is VALID."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from countersign.audit import ExportWriter, Invalid, SessionReport, checkpoint_of, verify_export
from countersign.tlog import KeyKind, SignerKey, to_base64
from tests.support.audited import (
    LOG,
    NOW_S,
    ORIGIN,
    POLICY_TEXT,
    WITNESS,
    Record,
    changed,
    export,
    policy,
    resealed,
    session_id,
    small_record,
)

RECORD = small_record()
EXPORT = RECORD.export("a")


def verify(content: bytes, text: str = POLICY_TEXT) -> SessionReport:
    return verify_export(io.BytesIO(content), policy(text), now_s=NOW_S)


def refused(content: bytes, text: str = POLICY_TEXT) -> Invalid:
    with pytest.raises(Invalid) as problem:
        verify(content, text)
    return problem.value


def tiny() -> bytes:
    record = Record()
    record.event("a", b"x")
    record.event("b")
    record.seal("a")
    # Without a witness: it is read some ten thousand times.
    return record.export("a", checkpoint=record.checkpoint(witnesses=False))


TINY_POLICY = f"log {LOG.verifier}\nquorum none\n"


def test_a_true_export_is_valid_and_says_what_it_proves() -> None:
    report = verify(EXPORT)
    assert (report.session_id, report.events, report.first_index, report.last_index) == (session_id("a"), 4, 1, 5)
    assert report.seal is not None
    assert (report.seal.event_count, report.seal_reason) == (3, "idle")
    assert (report.bodies.proven, report.bodies.absent, report.bodies.unproven) == (2, 0, 0)
    assert report.trusted.checkpoint.size == 7
    assert report.trusted.witnessed_s == NOW_S
    assert checkpoint_of(io.BytesIO(EXPORT)) == RECORD.checkpoint()


def test_no_byte_can_be_another() -> None:
    content = tiny()
    verify(content, TINY_POLICY)
    for at in range(len(content)):
        for other in (content[at] ^ 1, content[at] ^ 0x80, ord("\n")):
            if other != content[at]:
                refused(content[:at] + bytes([other]) + content[at + 1 :], TINY_POLICY)


def test_no_byte_can_be_another_even_where_the_digest_is_made_anew() -> None:
    content = tiny()
    body = content[: content.rindex(b'{"sha256"')]
    for at in range(len(body)):
        refused(resealed([body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]]), TINY_POLICY)


def test_no_byte_can_be_missing_or_there_twice_and_none_can_follow() -> None:
    content = tiny()
    body = content[: content.rindex(b'{"sha256"')]
    for at in range(len(content)):
        refused(content[:at], TINY_POLICY)
        refused(content[:at] + content[at + 1 :], TINY_POLICY)
    for at in range(0, len(body), 5):
        refused(resealed([body[:at], body[at + 1 :]]), TINY_POLICY)
        refused(resealed([body[: at + 1], body[at:]]), TINY_POLICY)
    for more in (b"\n", b" ", b"{}\n", b"\0"):
        refused(content + more, TINY_POLICY)
        refused(resealed([content, more]), TINY_POLICY)


def lying(change: Callable[[list[bytes]], object], content: bytes = EXPORT) -> bytes:
    """An export with other lines, and a digest that is true of them."""
    lines = content.splitlines(keepends=True)[:-1]
    change(lines)
    return resealed(lines)


LIES: dict[str, tuple[Callable[[list[bytes]], object], str]] = {
    "the first event dropped": (lambda lines: lines.pop(1), "there are 2"),
    "an event dropped": (lambda lines: lines.pop(2), "there are 2"),
    "the last event before the seal dropped": (lambda lines: lines.pop(3), "there are 2"),
    "the seal dropped": (lambda lines: lines.pop(4), "no seal"),
    "two events swapped": (lambda lines: lines.insert(1, lines.pop(2)), "order"),
    "the seal moved earlier": (lambda lines: lines.insert(3, lines.pop(4)), "closes a session of 3"),
    "an event twice": (lambda lines: lines.insert(2, lines[2]), "twice"),
    "the seal twice": (lambda lines: lines.insert(5, lines[4]), "twice"),
    "everything after the header dropped": (lambda lines: lines.__delitem__(slice(1, 5)), "four lines"),
    "no header": (lambda lines: lines.pop(0), "no export"),
    "a second header": (lambda lines: lines.insert(1, lines[0]), "holds hashes"),
    "a second checkpoint": (lambda lines: lines.append(lines[-1]), "holds hashes"),
    "no checkpoint": (lambda lines: lines.pop(), "checkpoint"),
    "an empty line": (lambda lines: lines.insert(2, b"\n"), "not JSON"),
}


@pytest.mark.parametrize(("change", "why"), LIES.values(), ids=LIES)
def test_lines_cannot_be_dropped_added_or_moved(change: Callable[[list[bytes]], object], why: str) -> None:
    assert why in str(refused(lying(change)))


def test_a_session_cut_at_its_end_is_never_valid_whatever_the_header_says() -> None:
    without_seal = RECORD.of("a")[:-1]
    assert "no seal" in str(refused(export(RECORD, "a", without_seal)))
    report = verify(export(RECORD, "a", without_seal, unsealed=True))
    assert report.seal is None
    assert "it ends in a seal" in str(refused(RECORD.export("a", unsealed=True)))


def test_without_a_seal_nothing_says_that_an_event_in_the_middle_is_missing_and_that_is_not_valid() -> None:
    shown = RECORD.of("a")
    report = verify(export(RECORD, "a", [shown[0], shown[2]], unsealed=True))
    assert report.seal is None
    assert "no seal" in str(refused(export(RECORD, "a", [shown[0], shown[2]])))


def test_a_session_without_events_is_no_session() -> None:
    assert "four lines" in str(refused(export(RECORD, "a", [], unsealed=True)))


def test_an_event_of_another_session_does_not_get_in() -> None:
    shown = RECORD.of("a")
    assert "another session" in str(refused(export(RECORD, "a", [*shown[:1], RECORD.of("b")[1], *shown[1:]])))
    assert "another session" in str(refused(export(RECORD, "b", shown)))


def test_an_event_that_is_not_in_the_log_does_not_get_in() -> None:
    other = small_record()
    other.shown[2] = changed(other.shown[2], leaf=other.shown[2].leaf.replace("orders", "others"))
    shown = other.of("a")
    assert "does not lead to the root" in str(refused(export(RECORD, "a", shown)))
    problem = refused(export(RECORD, "a", shown))
    assert (problem.line, problem.index, problem.event_id) == (3, 2, json.loads(shown[1].leaf)["event_id"])


def test_an_event_cannot_claim_another_place() -> None:
    shown = RECORD.of("a")
    assert "does not lead" in str(refused(export(RECORD, "a", [changed(shown[0], index=0), *shown[1:]])))
    beyond = lying(lambda lines: lines.__setitem__(1, lines[1].replace(b'"index":1', b'"index":99')))
    assert "has no leaf 99" in str(refused(beyond))


def test_what_was_altered_is_named_where_the_digest_would_only_say_that_something_was() -> None:
    lines = EXPORT.splitlines(keepends=True)
    lines[3] = lines[3].replace(b"orders", b"0rders")
    problem = refused(b"".join(lines))
    assert (problem.line, problem.index) == (4, 4)
    lines = EXPORT.splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'":"', b'":"0')
    assert "digest" in str(refused(b"".join(lines)))


def test_a_body_is_the_one_that_was_recorded_or_not_shown() -> None:
    shown = RECORD.of("a")
    swapped = [changed(shown[0], body=shown[2].body, salt=shown[2].salt), *shown[1:]]
    for bad in (
        swapped,
        [changed(shown[0], body=b'{"id":8}'), *shown[1:]],
        [changed(shown[0], salt=shown[2].salt), *shown[1:]],
        [changed(shown[0], salt=None), *shown[1:]],
    ):
        assert "body" in str(refused(export(RECORD, "a", bad)))
    erased = [changed(one, body=None, salt=None) for one in shown]
    report = verify(export(RECORD, "a", erased))
    assert (report.bodies.proven, report.bodies.absent) == (0, 2)


def test_an_event_without_a_body_cannot_be_given_one() -> None:
    shown = RECORD.of("a")
    for salt in (None, bytes(32)):
        given = [shown[0], changed(shown[1], body=b"forged", salt=salt), *shown[2:]]
        assert "no body" in str(refused(export(RECORD, "a", given)))


def test_bodies_of_old_records_are_shown_as_not_proven() -> None:
    record = Record()
    old = record.event("a", recorded_us=None)
    record.seal("a")
    report = verify(export(record, "a", [changed(old, body=b"anything"), record.shown[1]]))
    assert (report.bodies.proven, report.bodies.unproven) == (0, 1)
    assert "no body" in str(refused(export(record, "a", [changed(old, body=b"x", salt=bytes(32)), record.shown[1]])))


@pytest.mark.parametrize(
    "seal",
    [
        {"event_count": 3},
        {"event_count": 1},
        {"event_count": -1},
        {"event_count": True},
        {"root": "00" * 32},
        {"root": "00"},
        {"more": 1},
        {"event_id": session_id("other")},
    ],
    ids=["too many", "too few", "negative", "no number", "another root", "no root", "more", "another id"],
)
def test_a_seal_that_is_wrong_seals_nothing_even_in_the_log(seal: dict[str, Any]) -> None:
    record = Record()
    record.event("a")
    record.event("a")
    record.seal("a", **seal)
    assert refused(record.export("a")).line == 4


def test_a_session_that_lost_an_event_before_it_was_sealed_is_caught_where_the_seal_says_more() -> None:
    record = Record()
    shown = [record.event("a"), record.event("a"), record.event("a"), record.seal("a")]
    assert "closes a session of 3 events, and there are 2" in str(refused(export(record, "a", [shown[0], *shown[2:]])))


def test_nothing_comes_after_a_seal_even_where_the_log_has_it() -> None:
    record = Record()
    record.event("a")
    record.seal("a")
    record.event("a")
    assert "after the seal" in str(refused(record.export("a")))


def test_an_id_that_comes_twice_is_caught_even_where_the_log_has_it_twice() -> None:
    record = Record()
    first = json.loads(record.event("a").leaf)
    record.event("a", event_id=first["event_id"])
    record.seal("a")
    problem = refused(record.export("a"))
    assert (problem.index, problem.event_id) == (1, first["event_id"])


def test_a_sealed_session_says_which_one_it_goes_on_from_and_kinds_of_the_future_pass() -> None:
    record = Record()
    record.event("after a", kind="of_the_future", continues=session_id("a"), novelty=[{"x": 1}])
    record.seal("after a")
    assert verify(record.export("after a")).continues == session_id("a")


def test_a_session_cannot_say_that_it_goes_on_from_another() -> None:
    record = Record()
    record.event("after a", continues=session_id("b"))
    record.seal("after a")
    assert "goes on in another one" in refused(record.export("after a")).what


def test_only_a_log_and_witnesses_that_are_trusted_make_it_valid() -> None:
    other_log = SignerKey(ORIGIN, KeyKind.NOTE, bytes([9]) * 32)
    other_witness = SignerKey(WITNESS.name, KeyKind.COSIGNATURE, bytes([9]) * 32)
    wrong = {
        "the wrong log": POLICY_TEXT.replace(str(LOG.verifier), str(other_log.verifier)),
        "the wrong witness": POLICY_TEXT.replace(str(WITNESS.verifier), str(other_witness.verifier)),
        "too few": POLICY_TEXT.replace(
            "quorum w1", f"witness w2 {other_witness.verifier}\ngroup g all w1 w2\nquorum g"
        ),
    }
    for text in wrong.values():
        assert refused(EXPORT, text).line == 6
    assert "w1" in str(refused(RECORD.export("a", checkpoint=RECORD.checkpoint(witnesses=False))))


def test_a_forked_tree_and_a_rolled_back_one_prove_nothing_of_this_one() -> None:
    fork = small_record()
    fork.shown[0] = changed(fork.shown[0], leaf=fork.shown[0].leaf.replace("orders", "others"))
    assert "does not lead" in str(refused(RECORD.export("a", checkpoint=fork.checkpoint())))
    # Before the seal was there: proofs in it would be others, and the seal has none.
    assert refused(RECORD.export("a", checkpoint=RECORD.checkpoint(5))).line in (2, 5)


def test_an_export_of_another_log_is_not_of_this_one() -> None:
    other = EXPORT.replace(f'"origin":"{ORIGIN}"'.encode(), b'"origin":"other.example"')
    assert "another log" in str(refused(resealed(other.splitlines(keepends=True)[:-1])))


def _event_line(**change: Any) -> Callable[[list[bytes]], object]:
    def apply(lines: list[bytes]) -> None:
        fact = json.loads(lines[1]) | change
        fact = {key: value for key, value in fact.items() if value is not None}
        lines[1] = json.dumps(fact, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    return apply


LEAF = json.loads(EXPORT.splitlines()[1])["leaf"]
ODD: dict[str, Callable[[list[bytes]], object]] = {
    "another key": _event_line(more=1),
    "a key missing": _event_line(hashes=None),
    "an index that is a text": _event_line(index="1"),
    "an index that is true": _event_line(index=True),
    "a negative index": _event_line(index=-1),
    "hashes that are none": _event_line(hashes="x"),
    "a hash that is a number": _event_line(hashes=[1, 2, 3]),
    "a short hash": _event_line(hashes=["AAAA"]),
    "a thousand hashes": _event_line(hashes=[to_base64(bytes(32))] * 1000),
    "a salt alone": _event_line(body=None),
    "a short salt": _event_line(salt="AAAA"),
    "a salt that is no text": _event_line(salt=5),
    "an empty body": _event_line(body=""),
    "a body that is no base64": _event_line(body="#"),
    "a body that is a number": _event_line(body=5),
    "a leaf that is no text": _event_line(leaf={}),
    "a leaf that is no JSON": _event_line(leaf="{"),
    "a leaf that is a list": _event_line(leaf="[]"),
    "a leaf with blanks": _event_line(leaf=LEAF.replace(":", ": ", 1)),
    "a leaf with a key twice": _event_line(leaf=LEAF.replace("{", '{"call_id":"x",', 1)),
    "a leaf that is very deep": _event_line(leaf="[" * 30_000 + "]" * 30_000),
    "a leaf that is too long": _event_line(leaf=json.dumps({"a": "x" * 65_536})),
    "a leaf with NaN": _event_line(leaf=LEAF.replace("{", '{"a":NaN,', 1)),
    "a leaf with a float": _event_line(leaf=LEAF.replace("{", '{"a":1.5,', 1)),
    "a leaf with a huge number": _event_line(leaf=LEAF.replace("{", '{"a":' + "9" * 60_000 + ",", 1)),
    "a leaf without an id": _event_line(leaf=LEAF.replace("event_id", "event_ie")),
    "a leaf with a seal": _event_line(leaf=LEAF.replace('"session_id"', '"seal":{},"session_id"')),
    "a lone surrogate": lambda lines: lines.__setitem__(1, lines[1].replace(b"orders", b"\\ud800")),
    "a byte order mark": lambda lines: lines.__setitem__(0, b"\xef\xbb\xbf" + lines[0]),
    "blanks": lambda lines: lines.__setitem__(1, lines[1].replace(b'"hashes":', b'"hashes": ')),
    "escapes": lambda lines: lines.__setitem__(1, lines[1].replace(b'"hashes"', b'"h\\u0061shes"')),
    "an object in an object": lambda lines: lines.__setitem__(1, b"[" + lines[1][:-1] + b"]\n"),
    "deep nesting": lambda lines: lines.__setitem__(1, b"[" * 100_000 + b"\n"),
    "a key twice": lambda lines: lines.__setitem__(1, lines[1].replace(b'"index":1', b'"index":1,"index":1')),
    "a body twice": lambda lines: lines.__setitem__(1, lines[1].replace(b'"hashes"', b'"body":"AAAA","hashes"', 1)),
    "carriage returns": lambda lines: lines.__setitem__(1, lines[1].replace(b"\n", b"\r\n")),
    "an unknown version": lambda lines: lines.__setitem__(0, lines[0].replace(b'export":1', b'export":2')),
    "version true": lambda lines: lines.__setitem__(0, lines[0].replace(b'export":1', b'export":true')),
    "a header with more": lambda lines: lines.__setitem__(0, lines[0].replace(b"}", b',"x":1}')),
    "unsealed false": lambda lines: lines.__setitem__(0, lines[0].replace(b"}", b',"unsealed":false}')),
    "a session that is no UUID": lambda lines: lines.__setitem__(0, lines[0].replace(b"-", b"")),
    "a checkpoint with more": lambda lines: lines.__setitem__(-1, lines[-1].replace(b"}", b',"x":1}')),
    "a checkpoint that is no text": lambda lines: lines.__setitem__(-1, b'{"checkpoint":1}\n'),
    "a huge checkpoint": lambda lines: lines.__setitem__(-1, b'{"checkpoint":"' + b"x" * 2_000_000 + b'"}\n'),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_odd_lines_are_invalid_and_nothing_else_is_raised(change: Callable[[list[bytes]], object]) -> None:
    content = lying(change)
    assert content != EXPORT
    refused(content)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n" * 5, b"\xff" * 100, b"[" * 200_000], ids=range(5))
def test_what_is_no_export_at_all_is_invalid(content: bytes) -> None:
    refused(content)


def test_a_file_that_changes_while_it_is_read_is_invalid() -> None:
    class Changing(io.BytesIO):
        def seek(self, *place: int) -> int:
            super().seek(0)
            self.write(EXPORT.replace(b"orders", b"0rders"))
            return super().seek(*place)

    with pytest.raises(Invalid):
        verify_export(Changing(EXPORT), policy(), now_s=NOW_S)


def test_a_file_that_loses_its_end_while_it_is_read_is_invalid() -> None:
    class Shrinking(io.BytesIO):
        def seek(self, *place: int) -> int:
            self.truncate(EXPORT.index(b"\n", 500) + 1)
            return super().seek(*place)

    with pytest.raises(Invalid, match="changed while"):
        verify_export(Shrinking(EXPORT), policy(), now_s=NOW_S)


def test_whoever_waits_is_told_how_far_it_is() -> None:
    told: list[int] = []
    verify_export(io.BytesIO(EXPORT), policy(), now_s=NOW_S, progress=told.append)
    assert sum(told) >= 2 * len(EXPORT) - 200
    assert max(told) < len(EXPORT)


def test_the_writer_leaves_empty_bodies_out() -> None:
    for body in (b"", None):
        line = ExportWriter().event(index=0, leaf="{}", hashes=[], salt=bytes(32), body=body)
        assert line == b'{"hashes":[],"index":0,"leaf":"{}"}\n'


def test_a_large_body_is_read_whole() -> None:
    record = Record()
    record.event("a", bytes(range(256)) * 8000)
    record.seal("a")
    assert verify(record.export("a")).bodies.proven == 1
