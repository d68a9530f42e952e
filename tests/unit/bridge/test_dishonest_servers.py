"""Whatever a server does on its output, every call gets its own answer or an error, at once, and nobody else's."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import psutil
import pytest

from countersign.config import Limits
from countersign.config.types import StdioLimits
from tests.support.clients import INITIALIZE, call, messages
from tests.support.gateway import short_folder
from tests.support.recorders import until
from tests.unit.bridge.rig import BOB, Rig, running, scripted

SMALL = Limits(response_bytes=256 * 1024)
SECRET = "sealing-" + "key"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running(
        scripted(), limits=SMALL, environment={"PATH": "/usr/bin:/bin", "COUNTERSIGN_KEY": SECRET}
    ) as made:
        yield made


async def error_of(rig: Rig, session: str, tool: str, **arguments: object) -> tuple[int, str]:
    answer = await rig.post(call(tool, arguments), session)
    error = messages(answer)[-1]["error"]
    assert isinstance(error, dict)
    assert messages(answer)[-1]["id"] == 1
    return answer.status_code, str(error["message"])


async def test_what_is_no_message_is_passed_to_nobody_and_harms_nobody(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    session = await rig.initialize()
    assert await rig.call(session, "noise") == "after noise"
    assert await rig.call(session, "half_line") == "whole"
    assert await rig.call(session, "other_id") == "yours"
    assert await rig.call(session, "twice") == "first"
    assert await rig.call(session, "flood") == "flooded"
    assert await rig.call(session, "echo", text="still there") == "still there"
    # Ids are the caller's own again, of whatever type.
    for id_ in (1, "1", "ü", -3, 2**53 - 1):
        answer = await rig.post(call("echo", {"text": "x"}, id_), session)
        assert messages(answer)[-1]["id"] == id_
    reported = [record.getMessage() for record in caplog.records if "passed to nobody" in record.getMessage()]
    assert 8 <= len(reported) < 30
    assert not [text for text in reported if "hello" in text or "xxx" in text or "not yours" in text]


async def test_an_answer_that_cannot_be_read_is_an_error_at_once(rig: Rig) -> None:
    session = await rig.initialize()
    assert await error_of(rig, session, "doubled_key") == (502, "the server's answer cannot be read")
    assert await error_of(rig, session, "big", bytes=20_000_000) == (502, "the server wrote more than may be held")
    assert await rig.call(session, "echo", text="still there") == "still there"


async def test_a_server_that_dies_ends_its_session_and_what_waits(rig: Rig) -> None:
    session, other = await rig.initialize(), await rig.initialize()
    assert await error_of(rig, session, "die") == (502, "the server's process ended")
    again = await rig.post(call("echo"), session)
    assert again.status_code == 404
    assert await rig.call(other, "echo", text="unharmed") == "unharmed"
    assert await error_of(rig, other, "deaf") == (502, "the server's process ended")
    assert await rig.call(await rig.initialize(), "echo", text="anew") == "anew"


async def test_a_server_finds_nothing_of_the_gateways(rig: Rig) -> None:
    session = await rig.initialize()
    environment = await rig.call(session, "environment")
    assert isinstance(environment, dict)
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "HOME", "TMPDIR", "LANG"}
    assert SECRET not in str(environment)
    # The one that listing itself takes.
    assert await rig.call(session, "descriptors") == [3]
    where = await rig.call(session, "pid")
    assert isinstance(where, dict)
    assert where["cwd"] == environment["HOME"]


async def test_nothing_that_a_server_started_outlives_its_session(rig: Rig) -> None:
    session = await rig.initialize()
    orphan, server = await rig.call(session, "orphan"), await rig.call(session, "pid")
    assert isinstance(orphan, dict)
    assert isinstance(server, dict)
    assert psutil.pid_exists(orphan["pid"])
    assert (await rig.end(session)).status_code == 200
    assert (await rig.post(call("echo"), session)).status_code == 404
    await until(lambda: not psutil.pid_exists(orphan["pid"]) and not psutil.pid_exists(server["pid"]), within_s=15)
    await until(lambda: rig.sessions.processes == 0)


async def test_a_server_that_will_not_end_is_killed() -> None:
    async with running(scripted("stubborn")) as rig:
        session = await rig.initialize()
        server = await rig.call(session, "pid")
        assert isinstance(server, dict)
    assert not psutil.pid_exists(server["pid"])


async def test_a_server_uses_no_more_than_it_may() -> None:
    limits = StdioLimits(memory_bytes=128 * 1024 * 1024, open_files=40)
    async with running(replace(scripted(), limits=limits)) as rig:
        session = await rig.initialize()
        opened = await rig.call(session, "files")
        assert isinstance(opened, int)
        assert 20 < opened < 40
        assert await error_of(rig, session, "memory", bytes=200_000_000) == (
            502,
            "the server used more memory than it may",
        )


async def test_a_server_that_runs_as_another_user_reads_nothing_of_ours() -> None:
    folder = short_folder()
    folder.chmod(0o711)
    key = folder / "key"
    key.touch(mode=0o600)
    program = folder / "server.sh"
    program.write_text(
        'read -r line; cat "$1" >/dev/null 2>&1 && who=thief || who=$(id -un); touch "$HOME/mine" || who=homeless\n'
        'printf \'{"jsonrpc":"2.0","id":1,"result":{"who":"%s"}}\\n\' "$who"; read -r line\n'
    )
    program.chmod(0o755)
    stdio = replace(scripted(), command=("/bin/sh", str(program), str(key)), user="nobody")
    async with running(stdio) as rig:
        answer = await rig.post(INITIALIZE)
        if os.geteuid() == 0:
            assert messages(answer)[0]["result"] == {"who": "nobody"}
        else:  # who cannot be somebody else does not run it as themselves
            assert answer.status_code == 502
    async with running(replace(stdio, user="nobody-at-all")) as rig:
        assert (await rig.post(INITIALIZE)).status_code == 502
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", [("nowhere-to-be-found",), ("/",)])
async def test_a_program_that_cannot_be_run_is_an_error(command: tuple[str, ...]) -> None:
    async with running(replace(scripted(), command=command)) as rig:
        answer = await rig.post(INITIALIZE)
        assert (answer.status_code, "cannot be run" in answer.text) == (502, True)


async def test_a_server_that_ends_at_once_is_left_alone_for_longer_each_time() -> None:
    now = [1_000.0]
    async with running(scripted("crash"), monotonic_s=lambda: now[0]) as rig:
        waits: list[int] = []
        assert (await rig.post(INITIALIZE)).status_code == 502
        for _ in range(4):
            assert (await rig.post(INITIALIZE)).status_code == 502
            # Nobody keeps others from a server.
            assert (await rig.post(INITIALIZE, who=replace(BOB, subject=f"b{len(waits)}"))).status_code == 502
            refused = await rig.post(INITIALIZE)
            assert refused.status_code == 503
            waits.append(int(refused.headers["retry-after"]))
            now[0] += waits[-1]
        assert waits == sorted(waits)
        assert waits[-1] >= 4
