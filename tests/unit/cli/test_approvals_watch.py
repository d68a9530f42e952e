"""`countersign approvals watch` is live, outlives its connection, and lets keys decide only about what was shown."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from countersign.api.approvals.v1 import approvals_pb2
from countersign.cli.approvals.board import Board
from countersign.cli.approvals.feed import Connecting, Feed, Lost, News
from countersign.cli.approvals.service import Approvals
from countersign.model.approval import Approval, ApprovalState
from countersign.runtime.approval_messages import approval_message
from tests.support.gateway import free_port
from tests.unit.cli.approving import FIRST, NOW_US, SECOND, Scripted, approval, serving

WAIT_S = 20.0
ENDED = ApprovalState.DENIED


def test_the_oldest_that_waits_comes_first_and_what_ended_last() -> None:
    board = Board()
    news = board.take(
        [approval(FIRST, state=ENDED), approval(SECOND), approval("3", asked_at_us=NOW_US - 1)], whole=True
    )
    assert len(news) == 3
    assert [one.id for one in board.rows()] == ["3", SECOND, FIRST]


def test_only_a_newer_version_is_news() -> None:
    board = Board()
    board.take([approval(version=2)], whole=True)
    assert board.take([approval(version=2), approval(version=1)], whole=False) == []
    assert [one.version for one in board.rows()] == [2]


def test_what_is_told_no_more_after_a_new_connection_is_gone() -> None:
    board = Board()
    board.take([approval(FIRST), approval(SECOND)], whole=True)
    board.begin()
    board.take([approval(SECOND)], whole=False)
    assert len(board.rows()) == 2
    board.take([], whole=True)
    assert [one.id for one in board.rows()] == [SECOND]


def test_only_the_last_few_that_ended_are_kept() -> None:
    board = Board()
    board.take([approval(str(number), state=ENDED) for number in range(30)], whole=True)
    assert [one.id for one in board.rows()] == [str(number) for number in range(29, 19, -1)]


def until(feed: Feed, wanted: Callable[[News], bool]) -> News:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        news = feed.next(1.0)
        if news is not None and wanted(news):
            return news
    raise AssertionError("it was not heard in time")


def test_a_lost_connection_is_made_again() -> None:
    service, port = Scripted(), free_port()
    service.put(approval())
    with grpc.insecure_channel(f"127.0.0.1:{port}", (("grpc.initial_reconnect_backoff_ms", 100),)) as channel:
        feed = Feed(lambda: Approvals(channel, "token").watch(to_decide=False, mine=False))
        with serving(service, port):
            feed.start()
            assert isinstance(feed.next(WAIT_S), Connecting)
            until(feed, lambda news: not isinstance(news, Connecting))
        until(feed, lambda news: isinstance(news, Lost))
        with serving(service, port):
            until(feed, lambda news: not isinstance(news, Lost | Connecting))
            feed.close()


def test_a_stream_that_is_ended_in_order_begins_anew_at_once() -> None:
    streams = [Ending(approval()), Ending(approval(version=2)), Ending()]
    feed = Feed(lambda: streams.pop(0))
    feed.start()
    heard = [type(feed.next(WAIT_S)) for _ in range(6)]
    told = approvals_pb2.WatchApprovalsResponse
    assert heard == [Connecting, told, Connecting, told, Connecting, Lost]
    feed.close()


class Ending:
    """A stream that tells of some approvals and ends."""

    def __init__(self, *some: Approval) -> None:
        self._some = some

    def __iter__(self) -> Iterator[approvals_pb2.WatchApprovalsResponse]:
        return (approvals_pb2.WatchApprovalsResponse(approvals=[approval_message(one)]) for one in self._some)

    def cancel(self) -> None:
        """End it, as it would anyhow."""


@pytest.fixture
def service() -> Scripted:
    made = Scripted()
    made.put(approval(), approval(SECOND, asked_at_us=NOW_US + 1, target="wiki"))
    return made


def environment(port: int) -> dict[str, str]:
    given = {"COUNTERSIGN_GATEWAY": f"http://127.0.0.1:{port}", "COUNTERSIGN_TOKEN": "canary", "TERM": "xterm"}
    return {**os.environ, **given, "COLUMNS": "160", "LINES": "40"}


COMMAND = (sys.executable, "-m", "countersign.cli.main", "approvals", "watch")


def test_without_a_terminal_each_change_is_a_line(service: Scripted) -> None:
    with (
        serving(service) as port,
        subprocess.Popen([*COMMAND, "--json"], env=environment(port), stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert {one["id"] for one in told} == {FIRST, SECOND}
        service.put(approval(version=2, state=ENDED))
        assert json.loads(process.stdout.readline())["state"] == "denied"
        process.send_signal(2)
        assert process.wait(WAIT_S) == 0


class Terminal:
    """A person's end of a terminal."""

    def __init__(self, port: int) -> None:
        self.fd, self.inner = pty.openpty()
        self.before = termios.tcgetattr(self.inner)
        self.process = subprocess.Popen(
            COMMAND, env=environment(port), stdin=self.inner, stdout=self.inner, stderr=self.inner
        )
        self._seen = ""

    def sees(self, text: str) -> str:
        """Wait until a text is shown; return all that was since the last one."""
        deadline = time.monotonic() + WAIT_S
        while text not in self._seen:
            assert time.monotonic() < deadline, self._seen
            self._seen += os.read(self.fd, 65_536).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before

    def hits(self, keys: str) -> None:
        os.write(self.fd, keys.encode())


def test_keys_choose_show_and_decide(service: Scripted) -> None:
    with serving(service) as port:
        terminal = Terminal(port)
        terminal.sees("wiki/query")
        terminal.hits("j")
        terminal.hits("\r")
        assert "on wiki" in terminal.sees("enter: back")
        terminal.hits("\n")
        terminal.sees("wiki/query")
        terminal.hits("a")
        shown = terminal.sees("Approve this call?")
        assert "on wiki" in shown
        assert "mass_write" in shown
        assert "\x1b]0;" not in shown
        assert not service.decided
        terminal.hits("y\n")
        terminal.sees("enter: back")
        assert [(one.approval_id, one.version, one.agrees) for one in service.decided] == [(SECOND, 1, True)]
        terminal.hits("\n")
        terminal.sees("approved")
        terminal.hits("q")
        assert terminal.process.wait(WAIT_S) == 0
        assert termios.tcgetattr(terminal.inner) == terminal.before
        os.close(terminal.fd)
        os.close(terminal.inner)
