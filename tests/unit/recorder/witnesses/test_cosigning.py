"""Witnesses that are asked over HTTP: honest, behind, lying, slow, without an end."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from countersign.config.types import Recording, Witness
from countersign.recorder.log.ports import Prove
from countersign.recorder.witnesses import Witnesses
from countersign.recorder.witnesses.asking import SIZE_TYPE
from countersign.runtime.listening import bound
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.web import WebServer
from countersign.tlog import Checkpoint, KeyKind, SignerKey, cosign, parse_note, parse_signatures
from countersign.witness.app import witness_app
from countersign.witness.judging import Witness as Judge
from countersign.witness.remembered import Remembered
from tests.support.gateway import free_port
from tests.support.logs import SomeLog, signer
from tests.support.recorders import until

LOG = SomeLog(600)
NOW_S = 1_790_000_000
KEY = signer("witness.example/w1", KeyKind.COSIGNATURE, seed=9)
OTHER = signer("witness.example/w2", KeyKind.COSIGNATURE, seed=10)

Handler = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a port of its own; yields its URL."""
    address = f"127.0.0.1:{free_port()}"
    listener = bound(address)
    server = WebServer(app, listener)
    running = asyncio.ensure_future(server.listen())
    try:
        await until(lambda: server.serving)
        yield f"http://{address}"
    finally:
        server.end()
        await running
        listener.close()


@asynccontextmanager
async def honest(folder: Path, key: SignerKey = KEY, now_s: int = NOW_S) -> AsyncIterator[str]:
    """A real witness of ``LOG``."""
    folder.mkdir(exist_ok=True)
    remembered = Remembered(folder, [LOG.key.name])
    judge = Judge(key, [LOG.key.verifier], remembered, lambda: now_s)
    try:
        async with serving(witness_app(judge)) as url:
            yield url
    finally:
        remembered.close()


def answering(handler: Handler) -> Starlette:
    return Starlette(routes=[Route("/add-checkpoint", handler, methods=["POST"])])


@asynccontextmanager
async def asking(*witnesses: Witness, need: int = 1) -> AsyncIterator[Witnesses]:
    one = Witnesses(lambda: Recording(witnesses=witnesses, witnesses_needed=need), lambda: NOW_S)
    try:
        yield one
    finally:
        await one.close()


def named(url: str, key: SignerKey = KEY, name: str = "w1") -> Witness:
    return Witness(name, url, str(key.verifier))


def proving(size: int, log: SomeLog = LOG) -> Prove:
    async def prove(old: int) -> Sequence[bytes]:
        return log.proof(old, size)

    return prove


async def cosigned(witnesses: Witnesses, size: int, log: SomeLog = LOG) -> Sequence[str]:
    return await witnesses.cosign(log.checkpoint(size), size, proving(size, log))


def problem(witnesses: Witnesses) -> str:
    return witnesses.views()[0].problem


async def test_witnesses_cosign_as_the_log_grows_also_one_that_saw_more_than_we_know(tmp_path: Path) -> None:
    keys = (KEY, OTHER)
    async with honest(tmp_path / "1", KEY) as first, honest(tmp_path / "2", OTHER) as second:
        both = (named(first, KEY, "w1"), named(second + "/", OTHER, "w2"))
        async with asking(*both, need=2) as witnesses:
            assert [view.problem for view in witnesses.views()] == [
                "this recorder did not ask it yet: if others run, one of them does"
            ] * 2
            for size in (1, 255, 256, 400, 400):
                lines = await cosigned(witnesses, size)
                note = parse_note(LOG.checkpoint(size)).add(parse_signatures("".join(lines)))
                assert {one.time_s for one in note.verify(key.verifier for key in keys)} == {NOW_S}
                assert len(note.signatures) == 3
        # As after a restart: nothing is known of what they saw.
        async with asking(*both, need=2) as witnesses:
            assert len(await cosigned(witnesses, 600)) == 2
            assert [(view.name, view.cosigned_size, view.problem) for view in witnesses.views()] == [
                ("w1", 600, ""),
                ("w2", 600, ""),
            ]


async def test_a_log_that_lies_gets_no_cosignature_and_is_told_why(tmp_path: Path) -> None:
    fork = SomeLog(600, salt="b", forked_at=100)
    async with honest(tmp_path / "1") as url, asking(named(url)) as witnesses:
        assert len(await cosigned(witnesses, 300)) == 1
        assert await cosigned(witnesses, 300, fork) == []
        assert "another tree of this size" in problem(witnesses)
        assert await cosigned(witnesses, 400, fork) == []
        assert "only grew" in problem(witnesses)
        # Rolled back to an older copy.
        assert await cosigned(witnesses, 200) == []
        assert "at size 300 before, and the log has 200" in problem(witnesses)
        assert len(await cosigned(witnesses, 301)) == 1
        assert problem(witnesses) == ""
        stranger = SomeLog(5, name="stranger.example")
        assert await cosigned(witnesses, 5, stranger) == []
        assert "does not know the log" in problem(witnesses)
        assert [view.cosigned_size for view in witnesses.views()] == [301]


def line_of(text: str, key: SignerKey = KEY, time_s: int = NOW_S) -> str:
    return str(cosign(text, key, time_s))


def text_of(size: int) -> str:
    return parse_note(LOG.checkpoint(size)).text


SMALLER = Checkpoint(LOG.key.name, 599, bytes(32)).text
LIES: dict[str, tuple[int, bytes, str]] = {
    "nothing": (200, b"", "no cosignature"),
    "prose": (200, b"I agree\n", "no cosignature"),
    "no end of line": (200, line_of(text_of(600))[:-1].encode(), "no cosignature"),
    "other bytes": (200, b"\xff\xfe", "no cosignature"),
    "another's": (200, line_of(text_of(600), OTHER).encode(), "key that gateway.yaml names"),
    "another's, in its name": (
        200,
        line_of(text_of(600), SignerKey(KEY.name, KeyKind.COSIGNATURE, bytes(32))).encode(),
        "key that gateway.yaml names",
    ),
    "of another size": (200, line_of(SMALLER).encode(), "not over the checkpoint"),
    "broken": (200, line_of(text_of(600))[:-10].encode() + b"AAAAAAAA=\n", "no cosignature|not over the checkpoint"),
    "of yesterday": (200, line_of(text_of(600), time_s=NOW_S - 86_400).encode(), "clock"),
    "of tomorrow": (200, line_of(text_of(600), time_s=NOW_S + 86_400).encode(), "clock"),
    "an error": (500, b"x" * 60_000, "answered 500"),
    "a redirection": (307, b"", "answered 307"),
    "empty": (204, b"", "answered 204"),
    "forbidden": (403, b"", "does not know the key"),
}


async def test_a_witness_that_lies_does_not_count(tmp_path: Path) -> None:
    lying: list[Response] = []

    async def handler(_: Request) -> Response:
        return lying[-1]

    async with (
        serving(answering(handler)) as liar,
        honest(tmp_path / "2", OTHER) as good,
        asking(named(liar), named(good, OTHER, "w2"), need=2) as witnesses,
    ):
        for lie, (status, body, why) in LIES.items():
            lying.append(Response(body, status, {"location": "http://127.0.0.1:1/"}))
            (line,) = await cosigned(witnesses, 600)
            assert parse_signatures(line)[0].claims(OTHER.verifier), lie
            assert re.search(why, problem(witnesses)), (lie, problem(witnesses))
            assert "I agree" not in problem(witnesses)


SIZES = {
    "always the same": ("5\n", "does not keep to"),
    "ahead": ("601\n", "at size 601 before"),
    "far ahead": (f"{2**62}\n", "before"),
    "beyond": (f"{2**64}\n", "does not say"),
    "negative": ("-1\n", "does not say"),
    "digits of others": ("\u0665\n", "does not say"),
    "much": ("5\n" * 1_000, "does not say"),
    "nothing": ("", "does not say"),
}


async def test_a_size_that_is_a_lie_leads_nowhere() -> None:
    asked, lying = 0, [b""]

    async def handler(_: Request) -> Response:
        nonlocal asked
        asked += 1
        return Response(lying[-1], 409, {"content-type": SIZE_TYPE})

    async with serving(answering(handler)) as url:
        for lie, (said, why) in SIZES.items():
            lying.append(said.encode())
            async with asking(named(url)) as witnesses:
                for _ in range(2):
                    asked = 0
                    assert await cosigned(witnesses, 600) == [], lie
                    assert asked <= 2, lie
                    assert why in problem(witnesses), lie


async def test_an_answer_without_an_end_is_not_read_to_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"\xe2\x80\x94" * 20_000
            # The server and who reads from it share a loop here.
            await asyncio.sleep(0)

    async def handler(_: Request) -> Response:
        return StreamingResponse(endless())

    async with serving(answering(handler)) as url, asking(named(url)) as witnesses:
        assert await cosigned(witnesses, 600) == []
        assert "no end" in problem(witnesses)


async def test_one_that_is_slow_is_not_waited_for_and_not_asked_twice_at_a_time(tmp_path: Path) -> None:
    let_go, asked = asyncio.Event(), 0

    async def handler(_: Request) -> Response:
        nonlocal asked
        asked += 1
        await let_go.wait()
        return Response(line_of(text_of(600)))

    async with (
        serving(answering(handler)) as slow,
        honest(tmp_path / "2", OTHER) as good,
        asking(named(slow), named(good, OTHER, "w2"), need=1) as witnesses,
    ):
        began = time.monotonic()
        for size in (500, 600):
            (line,) = await cosigned(witnesses, size)
            assert parse_signatures(line)[0].claims(OTHER.verifier)
        assert asked == 1
        assert time.monotonic() - began < 2.5
        let_go.set()
        await until(lambda: problem(witnesses) != "")
        # What it was asked about was another checkpoint than the one that it cosigned.
        assert "not over the checkpoint" in problem(witnesses)
        assert len(await cosigned(witnesses, 600)) == 2


async def test_one_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.recorder.witnesses.asking.TIMEOUT_S", 0.1)
    never = asyncio.Event()

    async def handler(_: Request) -> Response:
        await never.wait()
        raise AssertionError

    async with serving(answering(handler)) as url:
        async with asking(named(url)) as witnesses:
            assert await cosigned(witnesses, 600) == []
            assert "within 0.1 s" in problem(witnesses)
        never.set()


async def test_one_that_is_away_is_told_and_counts_again_once_it_is_back(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with asking(named(nowhere)) as witnesses:
        assert await cosigned(witnesses, 600) == []
        assert "cannot be reached" in problem(witnesses)
    async with honest(tmp_path / "1") as url, asking(named(url)) as witnesses:

        async def unable(_: int) -> Sequence[bytes]:
            raise DatabaseUnavailable("away")

        assert await witnesses.cosign(LOG.checkpoint(600), 600, unable) == []
        assert "database" in problem(witnesses)
        assert len(await cosigned(witnesses, 600)) == 1


async def test_an_edit_of_the_witnesses_counts_from_the_next_checkpoint_on(tmp_path: Path) -> None:
    async with honest(tmp_path / "1") as url:
        recording = Recording()
        witnesses = Witnesses(lambda: recording, lambda: NOW_S)
        assert (await cosigned(witnesses, 5), witnesses.views()) == ([], [])
        recording = Recording(witnesses=(named(url),), witnesses_needed=1)
        assert len(await cosigned(witnesses, 6)) == 1
        recording = Recording()
        assert (await cosigned(witnesses, 7), witnesses.views()) == ([], [])
        await witnesses.close()
