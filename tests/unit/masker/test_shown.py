"""What a target was shown reaches nobody, in whatever it is repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countersign.masker.exchange import Reset
from countersign.model.telltale import telltales_of, written
from countersign.runtime.rulebook import Rulebook
from tests.unit.masker.exchanging import (
    CREDENTIAL,
    EVENTS,
    GATEWAY,
    JSON,
    SEALER,
    TEXT,
    Bench,
    answer,
    note,
    refused,
    released,
)
from tests.unit.masker.exchanging import bench as bench
from tests.unit.masker.exchanging import rulebook as rulebook


@pytest.mark.parametrize("attempt", ["first", "second"])
async def test_an_answer_that_holds_what_its_target_was_shown_is_withheld_and_not_recorded(
    bench: Bench, attempt: str
) -> None:
    told = written(telltales_of([CREDENTIAL], SEALER.mark_shown))
    await bench.head(shown=CREDENTIAL) if attempt == "first" else await bench.head(said=told)
    assert refused(await bench.body(answer(f"for {CREDENTIAL.decode()}"), ends=True)) == 502
    assert CREDENTIAL not in repr(bench.sink.durable).encode()


async def test_a_stream_is_cut_before_what_its_target_was_shown(bench: Bench) -> None:
    await bench.head(EVENTS, shown=CREDENTIAL)
    assert b"before" in released(await bench.body(note("before")))
    with pytest.raises(Reset, match="holds the credential"):
        await bench.body(note(f"x{CREDENTIAL.decode()}x").replace(b"to/the/", rb"to\/the\/"))
    assert CREDENTIAL not in repr(bench.sink.durable).encode()


@pytest.mark.parametrize(("content_type", "status"), [(JSON, 200), (JSON, 500), (TEXT, 500), (EVENTS, 200)])
async def test_no_cut_leaves_part_of_what_its_target_was_shown(
    tmp_path: Path, rules_cache: Path, content_type: str, status: int
) -> None:
    cut = GATEWAY.replace("binary: pass", "binary: pass, screening: {text_bytes: 1024}")
    (path := tmp_path / "gateway.yaml").write_text(cut)
    bench = Bench(Rulebook(path, {}, rules_cache, reads=()))
    credential = b"shown " * 200 + CREDENTIAL
    text = ("x" * 300 + credential.decode()) if content_type != TEXT else credential.decode()
    said = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}
    failed = {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": text}}
    data = text.encode() if content_type == TEXT else json.dumps(said if status == 200 else failed).encode()
    await bench.head(content_type, status, shown=credential)
    if content_type == EVENTS:
        with pytest.raises(Reset, match="holds the credential"):
            await bench.body(b"data: " + data + b"\n\n")
    else:
        assert refused(await bench.body(data, ends=True)) == 502
    assert b"shown shown" not in repr(bench.sink.durable).encode()


async def test_a_target_that_says_in_our_words_what_it_was_shown_is_not_believed(bench: Bench) -> None:
    assert refused(await bench.head(said="[[1]]")) == 502
