"""A dump of the log: every entry, tile, root, session and seal is what the checkpoint says, and nothing was removed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from countersign.audit import DumpReport, Invalid, verify_dump
from countersign.audit.dumps import _Check
from countersign.tlog import KeyKind, SignerKey, perfect_root
from tests.support.audited import LOG, NOW_S, POLICY_TEXT, Folder, Record, changed, policy, session_id, small_record

Files = dict[str, bytes]
OTHER_LOG = SignerKey("other.example", KeyKind.NOTE, bytes([5]) * 32)


@cache
def large() -> Record:
    """A log with a full tile, and a partial one on each of two levels."""
    record = Record()
    for at in range(270):
        record.event(f"s{at % 7}")
    for at in range(5):
        record.seal(f"s{at}")
    return record


SMALL = small_record()


def verify(files: Files, previous: str | None = None) -> DumpReport:
    return verify_dump(Folder(files), policy(), now_s=NOW_S, previous=previous)


def refused(files: Files, previous: str | None = None) -> Invalid:
    with pytest.raises(Invalid) as problem:
        verify(files, previous)
    return problem.value


def test_a_session_goes_on_from_one_that_was_sealed_before() -> None:
    record = small_record()
    _goes_on(record, "a")
    report = verify(record.dump())
    assert (report.events, report.sealed_sessions, report.open_sessions) == (8, 1, 2)


@pytest.mark.parametrize("record", [SMALL, Record()], ids=["small", "empty"])
def test_a_true_dump_is_valid(record: Record) -> None:
    report = verify(record.dump())
    assert (report.events, report.trusted.checkpoint.size) == (len(record.shown),) * 2
    assert (report.sealed_sessions, report.open_sessions) == ((1, 1) if record.shown else (0, 0))


def test_a_dump_of_several_tiles_is_valid_and_whoever_waits_is_told() -> None:
    told: list[tuple[int, int]] = []
    files = Folder(large().dump())
    report = verify_dump(files, policy(), now_s=NOW_S, progress=lambda *each: told.append(each))
    assert (report.events, report.sealed_sessions, report.open_sessions) == (275, 5, 2)
    assert told == [(256, 275), (19, 275)]
    assert set(files.files) == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/19",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/19",
    }


def test_no_byte_of_any_file_can_be_another() -> None:
    record = Record()
    record.event("a")
    record.seal("a")
    files = record.dump()
    for path, content in files.items():
        for at in range(len(content)):
            refused(files | {path: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]})
        refused(files | {path: content + b"\0"})
        refused(files | {path: content[:-1]})


def test_a_file_that_is_missing_or_does_not_belong_is_named() -> None:
    files = large().dump()
    for path in files:
        problem = refused({each: content for each, content in files.items() if each != path})
        assert problem.path == path
    for path in ("tile/0/002", "tile/0/001", "tile/0/001.p/18", "tile/2/000.p/1", "tile/entries/002", "tile/notes"):
        assert refused(files | {path: files["tile/0/000"]}).path == path
    # What stands elsewhere is not of the log.
    verify(files | {"README": b"mine"})


def test_a_full_tile_of_a_higher_level_is_computed_anew() -> None:
    # 65,536 hashes, without the events that they would be of.
    row = [index.to_bytes(32, "big") for index in range(256)]
    level_1 = [perfect_root(row)] * 256
    for content, wrong in ((b"".join(level_1), False), (b"".join([*level_1[:-1], row[0]]), True)):
        check = _Check(Folder({"tile/1/000": content}), None)
        for _ in range(255):
            check._push(0, row)
        if wrong:
            with pytest.raises(Invalid, match="tile/1/000"):
                check._push(0, row)
        else:
            check._push(0, row)


def test_an_entry_that_was_changed_is_named() -> None:
    files = large().dump()
    content = files["tile/entries/000"]
    at = content.index(b'"orders"', 2000) + 1
    index = content[:at].count(b'"call_id"') - 1
    problem = refused(files | {"tile/entries/000": content[:at] + b"0" + content[at + 1 :]})
    assert (problem.path, problem.index) == ("tile/0/000", index)


def test_tiles_that_go_with_changed_entries_do_not_go_with_the_checkpoint() -> None:
    other = small_record()
    other.shown[3] = changed(other.shown[3], leaf=other.shown[3].leaf.replace("orders", "others"))
    assert "root is not that" in refused(other.dump() | {"checkpoint": SMALL.checkpoint().encode()}).what


LOGS: dict[str, tuple[Callable[[Record], object], str]] = {
    "an event after the seal": (lambda record: record.event("a"), "goes on after its seal"),
    "a second seal": (lambda record: record.seal("a"), "goes on after its seal"),
    "a seal that counts more": (lambda record: record.seal("b", event_count=9), "closes a session of 9"),
    "a seal with another root": (lambda record: record.seal("b", root="00" * 32), "root is not that"),
    "a seal of nothing": (lambda record: record.seal("c", event_count=1), "closes a session of 1"),
    "a seal with another id": (lambda record: record.seal("b", event_id=session_id("x")), "only seal"),
    "a session that goes on from an open one": (lambda record: _goes_on(record, "b"), "which is not sealed"),
    "a session that goes on from none": (lambda record: _goes_on(record, "nowhere"), "which is not sealed"),
    "a session that goes on from two": (
        lambda record: _goes_on(record, "a", as_if="b"),
        "goes on in another one",
    ),
    "an id twice": (lambda record: record.event("b", event_id=_id_of(record)), "already"),
    "a leaf that is no event": (lambda record: record.event("b", kind=None), "kind is missing"),
    "a leaf that is not canonical": (lambda record: _spaced(record), "not canonical"),
}


def _id_of(record: Record) -> str:
    return record.shown[0].leaf.split('"event_id":"')[1][:36]


def _goes_on(record: Record, before: str, *, as_if: str = "") -> None:
    record.event(f"after {before}", continues=session_id(as_if or before))


def _spaced(record: Record) -> None:
    record.event("b")
    record.shown[-1] = changed(record.shown[-1], leaf=record.shown[-1].leaf.replace(":", ": "))


@pytest.mark.parametrize(("go_wrong", "why"), LOGS.values(), ids=LOGS)
def test_a_log_that_holds_what_it_must_not_is_invalid_however_it_is_signed(
    go_wrong: Callable[[Record], object], why: str
) -> None:
    record = small_record()
    go_wrong(record)
    problem = refused(record.dump())
    assert why in problem.what
    assert problem.index == 7


def test_a_log_goes_on_from_what_was_kept_of_it() -> None:
    record = large()
    files = record.dump()
    for size in (0, 1, 100, 256, 257, 275):
        report = verify(files, record.checkpoint(size))
        assert report.previous is not None
        assert report.previous.size == size


def test_events_that_were_removed_or_changed_since_are_noticed() -> None:
    kept = large().checkpoint(257)
    shorter = Record(large().shown[:256])
    assert "events were removed" in refused(shorter.dump(), kept).what
    rewritten = Record([*large().shown[:200], *large().shown[201:]])
    assert "was changed" in refused(rewritten.dump(), kept).what
    same_size = Record([large().shown[0], *large().shown[2:258]])
    assert "was changed" in refused(same_size.dump(), kept).what


def test_a_previous_checkpoint_is_one_of_this_log_that_is_trusted() -> None:
    files = SMALL.dump()
    assert refused(files, SMALL.checkpoint(3, witnesses=False)).path == "previous checkpoint"
    assert refused(files, "nonsense").path == "previous checkpoint"
    both = policy(POLICY_TEXT.replace("witness", f"log {OTHER_LOG.verifier}\nwitness", 1))
    with pytest.raises(Invalid, match="another log"):
        verify_dump(
            Folder(files), both, now_s=NOW_S, previous=SMALL.checkpoint(3, log=OTHER_LOG).replace(LOG.name, "x")
        )


def test_a_dump_of_an_untrusted_log_is_invalid() -> None:
    unwitnessed = SMALL.dump() | {"checkpoint": SMALL.checkpoint(witnesses=False).encode()}
    assert refused(unwitnessed).path == "checkpoint"
