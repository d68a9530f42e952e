"""What a witness says to a log: honest, lying, rolled back, unknown; and what it remembers over its own end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from countersign.tlog import KeyKind, SignerKey, parse_signatures, to_base64
from countersign.tlog.notes import check_signature, parse_note
from countersign.witness.asked import MAX_BODY_BYTES, MAX_PROOF_LINES, parse_submission
from countersign.witness.errors import StateUnusable
from countersign.witness.judging import SIZE_TYPE, Answer, Witness
from countersign.witness.remembered import Remembered
from tests.support.cost import cpu_s
from tests.support.logs import SomeLog, signer

KEY = signer("witness.example/w1", KeyKind.COSIGNATURE, seed=9)
NOW_S = 1_790_000_000
LOG = SomeLog(1_000)


class Running:
    """A witness with its folder, which can be ended and started again."""

    def __init__(self, folder: Path, *logs: SignerKey) -> None:
        self.folder = folder
        self.logs = [key.verifier for key in logs or (LOG.key,)]
        self.remembered: Remembered | None = None
        self.start()

    def start(self) -> None:
        self.end()
        self.remembered = Remembered(self.folder, {key.name for key in self.logs})
        self.witness = Witness(KEY, self.logs, self.remembered, lambda: NOW_S)

    def end(self) -> None:
        if self.remembered is not None:
            self.remembered.close()
            self.remembered = None

    def add(self, log: SomeLog, old: int, new: int) -> Answer:
        return self.witness.add(body(log, old, new))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path)
    yield one
    one.end()


def body(log: SomeLog, old: int, new: int) -> bytes:
    return written(old, log.proof(min(old, new), new), log.checkpoint(new))


def written(old: object, proof: Iterable[bytes], note: str) -> bytes:
    lines = "".join([f"{to_base64(one)}\n" for one in proof])
    return f"old {old}\n{lines}\n{note}".encode()


def cosigned(answer: Answer, log: SomeLog, size: int) -> None:
    """The answer is one cosignature over this checkpoint of the log, made now."""
    assert answer.status == 200, answer
    (line,) = parse_signatures(answer.body)
    assert check_signature(parse_note(log.checkpoint(size)).text, line, KEY.verifier).time_s == NOW_S


def test_a_log_that_grows_is_cosigned_at_each_size(running: Running) -> None:
    sizes = [0, 0, 1, 2, 255, 256, 257, 700, 700, 1_000]
    for old, new in zip([0, *sizes], sizes, strict=False):
        cosigned(running.add(LOG, old, new), LOG, new)


def test_a_log_that_does_not_know_the_size_is_told_it(running: Running) -> None:
    cosigned(running.add(LOG, 0, 300), LOG, 300)
    for old in (0, 299, 301):
        assert running.add(LOG, old, 400) == Answer(409, "300\n", SIZE_TYPE)
    cosigned(running.add(LOG, 300, 400), LOG, 400)


def test_a_log_that_is_rolled_back_gets_nothing(running: Running) -> None:
    cosigned(running.add(LOG, 0, 300), LOG, 300)
    assert running.add(LOG, 300, 299).status == 400
    for old in (0, 299):
        assert running.add(LOG, old, 299).status == 409


def test_a_log_that_forks_gets_nothing_and_is_convicted_by_what_is_kept(running: Running) -> None:
    fork = SomeLog(1_000, salt="b", forked_at=250)
    cosigned(running.add(LOG, 0, 300), LOG, 300)
    same_size = running.add(fork, 300, 300)
    assert (same_size.status, same_size.content_type == SIZE_TYPE) == (409, False)
    assert running.add(fork, 300, 400).status == 422
    kept = {path.suffix: path.read_text() for path in running.folder.iterdir()}
    assert kept == {".checkpoint": LOG.checkpoint(300), ".fork": fork.checkpoint(300)}
    cosigned(running.add(LOG, 300, 400), LOG, 400)


def test_a_fork_after_what_was_cosigned_is_no_fork_yet(running: Running) -> None:
    cosigned(running.add(LOG, 0, 300), LOG, 300)
    fork = SomeLog(1_000, salt="b", forked_at=300)
    cosigned(running.add(fork, 300, 400), fork, 400)
    assert running.add(LOG, 400, 400).status == 409
    assert running.add(LOG, 400, 500).status == 422


@pytest.mark.parametrize("how", ["missing", "cut", "changed", "longer", "swapped"])
def test_a_wrong_proof_proves_nothing(running: Running, how: str) -> None:
    cosigned(running.add(LOG, 0, 300), LOG, 300)
    proof = list(LOG.proof(300, 777))
    wrong = {
        "missing": [],
        "cut": proof[:-1],
        "changed": [*proof[:-1], bytes(32)],
        "longer": [*proof, proof[-1]],
        "swapped": [proof[1], proof[0], *proof[2:]],
    }[how]
    assert running.witness.add(written(300, wrong, LOG.checkpoint(777))).status == 422
    assert running.witness.add(written(300, proof, LOG.checkpoint(777))).status == 200


@pytest.mark.parametrize(("old", "new"), [(0, 5), (5, 5)])
def test_no_proof_belongs_where_none_is_needed(running: Running, old: int, new: int) -> None:
    if old:
        cosigned(running.add(LOG, 0, old), LOG, old)
    assert running.witness.add(written(old, [bytes(32)], LOG.checkpoint(new))).status == 422


def test_a_log_that_is_not_known_is_told_so_before_anything_else(running: Running) -> None:
    other = SomeLog(10, name="other.example")
    assert running.add(other, 9, 10).status == 404
    # Signed by a log that is known, in the name of one that is not.
    assert running.witness.add(written(0, [], other.checkpoint(5))).status == 404


def test_only_the_logs_own_key_counts(running: Running) -> None:
    thief = signer(LOG.key.name, seed=2)
    assert running.witness.add(written(0, [], LOG.checkpoint(5, thief))).status == 403
    # Whoever holds no key learns nothing of what was cosigned.
    assert running.witness.add(written(3, [], LOG.checkpoint(5, thief))).status == 403
    forged = LOG.checkpoint(5).replace("\n5\n", "\n6\n")
    assert running.witness.add(written(0, [], forged)).status == 403
    cosigned(running.witness.add(written(0, [], LOG.checkpoint(5, thief, LOG.key))), LOG, 5)


def test_a_key_that_is_rotated_goes_on_with_what_the_old_one_began(tmp_path: Path) -> None:
    old, new = LOG.key, signer(LOG.key.name, seed=3)
    running = Running(tmp_path, old, new)
    cosigned(running.add(LOG, 0, 5), LOG, 5)
    cosigned(running.witness.add(written(5, LOG.proof(5, 8), LOG.checkpoint(8, new))), LOG, 8)
    running.end()


def test_it_knows_after_its_end_what_it_cosigned(running: Running) -> None:
    cosigned(running.add(LOG, 0, 300), LOG, 300)
    running.start()
    assert running.add(LOG, 0, 299) == Answer(409, "300\n", SIZE_TYPE)
    cosigned(running.add(LOG, 300, 301), LOG, 301)


def test_what_cannot_be_remembered_is_not_cosigned(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    cosigned(running.add(LOG, 0, 300), LOG, 300)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    failed = running.add(LOG, 300, 301)
    assert (failed.status, "\u2014" in failed.body) == (503, False)
    monkeypatch.undo()
    # What it cosigned is still the last: the log goes on where it was.
    cosigned(running.add(LOG, 300, 302), LOG, 302)


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", LOG.checkpoint(5).encode()[:60], SomeLog(5, name="other.example").checkpoint(5).encode()],
    ids=["empty", "nonsense", "cut", "of another log"],
)
def test_it_does_not_begin_with_a_file_that_it_did_not_write(running: Running, content: bytes) -> None:
    cosigned(running.add(LOG, 0, 5), LOG, 5)
    (file,) = running.folder.iterdir()
    file.write_bytes(content)
    with pytest.raises(StateUnusable, match="not what a witness wrote"):
        running.start()


def test_it_does_not_begin_with_a_folder_that_is_gone_or_anothers(running: Running) -> None:
    with pytest.raises(StateUnusable, match="in use by another witness"):
        Remembered(running.folder, ())
    with pytest.raises(StateUnusable, match="cannot be opened"):
        Remembered(running.folder / "gone", ())


NOTE = LOG.checkpoint(5)
HASH = to_base64(bytes(32))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"old 0",
        b"old 0\n",
        b"old 0\n\n",
        f"old 0\n{NOTE}".encode(),
        f"\n\n{NOTE}".encode(),
        f"old\n\n{NOTE}".encode(),
        f"old  0\n\n{NOTE}".encode(),
        f"old 00\n\n{NOTE}".encode(),
        f"old -1\n\n{NOTE}".encode(),
        f"old +0\n\n{NOTE}".encode(),
        f"old 0 \n\n{NOTE}".encode(),
        f"old 0\r\n\r\n{NOTE}".encode(),
        f"old {2**63}\n\n{NOTE}".encode(),
        f"OLD 0\n\n{NOTE}".encode(),
        f" old 0\n\n{NOTE}".encode(),
        f"old \u0660\n\n{NOTE}".encode(),
        f"old 0\n{HASH} \n\n{NOTE}".encode(),
        f"old 0\n{HASH[:-1]}\n\n{NOTE}".encode(),
        f"old 0\n{HASH[:-4]}\n\n{NOTE}".encode(),
        ("old 0\n" + f"{HASH}\n" * (MAX_PROOF_LINES + 1) + f"\n{NOTE}").encode(),
        f"old 0\n\n{NOTE[:-1]}".encode(),
        f"old 0\n\n{NOTE}\n".encode(),
        f"old 0\n\n\n{NOTE}".encode(),
        f"old 0\n\n{NOTE.replace(chr(0x2014), '-')}".encode(),
        f"old 0\n\n{NOTE}".encode() + b"\xff",
        f"old 0\n\n{NOTE.replace('log.example', 'log.example' + chr(7), 1)}".encode(),
        b"\x00" * 100,
        b"old 0\n\n" + b"\n" * 1_000,
    ],
    ids=range(29),
)
def test_what_is_no_submission_is_told_so(running: Running, content: bytes) -> None:
    assert running.witness.add(content).status == 400
    assert not list(running.folder.iterdir())


def test_a_submission_is_read_as_it_was_written() -> None:
    asked = parse_submission(written(7, [bytes(32), bytes([1]) * 32], NOTE))
    assert (asked.old_size, asked.proof, asked.note) == (7, (bytes(32), bytes([1]) * 32), NOTE)


def test_the_longest_body_costs_no_more_than_reading_it(running: Running) -> None:
    for filler in (b"\n", b"old 0\n", b"A", b"A\n", b"\xe2\x80\x94 "):
        content = (b"old 0\n" + filler * MAX_BODY_BYTES)[:MAX_BODY_BYTES]
        assert running.witness.add(content).status == 400
        assert cpu_s(lambda content=content: running.witness.add(content)) < 0.05  # type: ignore[misc]
