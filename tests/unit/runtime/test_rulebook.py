"""Edits are taken up beside the calls, and hold none of them up."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from countersign.config import ConfigWatcher, GatewayConfig
from countersign.runtime import rulebook
from countersign.runtime.rulebook import InForce, Rulebook
from tests.unit.config.files import ENV, GOOD, edited


def test_only_the_last_few_versions_are_kept_and_one_that_comes_back_is_the_newest(
    tmp_path: Path, rules_cache: Path
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(GOOD)
    book = Rulebook(path, ENV, rules_cache, reads=())
    versions = [book.current.config.version]

    def edit(text: str) -> None:
        path.write_text(text)
        assert book.poll() is not None
        versions.append(book.current.config.version)

    for number in range(6):
        edit(f"{GOOD}# {number}\n")
    edit(GOOD)
    for number in range(6, 9):
        edit(f"{GOOD}# {number}\n")
    assert book.find("unknown") is None
    kept = [book.find(version) is not None for version in versions]
    # The first one came back, and so is kept in place of those after it.
    assert kept == [True, False, False, *[True] * 8]


async def test_an_edit_is_loaded_while_calls_go_on(
    tmp_path: Path, rules_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(GOOD)
    book = Rulebook(path, ENV, rules_cache, reads=())
    before = book.current
    loading, may_load = threading.Event(), threading.Event()
    poll = ConfigWatcher.poll

    def slow(watcher: ConfigWatcher) -> GatewayConfig | None:
        loading.set()
        assert may_load.wait(10), "the edit is loaded on the loop"
        return poll(watcher)

    monkeypatch.setattr(ConfigWatcher, "poll", slow)
    monkeypatch.setattr(rulebook, "POLL_S", 0.0)
    path.write_text(edited("Exports go", "All exports go"))
    took = asyncio.get_running_loop().create_future()

    def changed(now: InForce) -> None:
        took.set_result(now)

    following = asyncio.ensure_future(book.follow(changed))
    async with asyncio.timeout(10):
        assert await asyncio.to_thread(loading.wait, 10)
        assert book.current is before
        may_load.set()
        assert await took is book.current
    assert book.current is not before
    assert book.find(before.config.version) is before
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def test_an_edit_of_a_detector_is_for_the_calls_judged_after_it(tmp_path: Path, rules_cache: Path) -> None:
    path = tmp_path / "gateway.yaml"
    stated = edited("{detect: [secrets]}", "{detect: [secrets, badge]}\ndetectors: {badge: {pattern: 'A-[0-9]{4}'}}")
    path.write_text(stated)
    book = Rulebook(path, ENV, rules_cache, reads=())
    before = book.current
    path.write_text(stated.replace("A-[0-9]", "B-[0-9]"))
    assert book.poll() is not None
    text = b"A-1234 B-1234"
    assert before.masks.select(["secrets"]).text(text).data == b"[BADGE] B-1234"
    assert book.current.masks.select(["secrets"]).text(text).data == b"A-1234 [BADGE]"
    path.write_text(stated.replace("A-[0-9]{4}", "A.*B|A"))
    assert book.poll() is None
    assert "slow" in str(book.problem)
