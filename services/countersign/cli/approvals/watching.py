"""``countersign approvals watch``: approvals as they come and change, with keys to decide about them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from countersign.api.approvals.v1 import approvals_pb2
from countersign.cli.access import DEFAULT_GATEWAY, GatewayUrl, Token, TokenFile, bearer
from countersign.cli.approvals.board import Board
from countersign.cli.approvals.deciding import decide
from countersign.cli.approvals.documents import approval_document
from countersign.cli.approvals.feed import Connecting, Feed, Left, Lost, News, Refused
from countersign.cli.approvals.keys import Key, are_there, pressed, single_keys
from countersign.cli.approvals.seeing import Mine, ToDecide, now_us, print_approval
from countersign.cli.approvals.service import AsJson, approvals
from countersign.cli.approvals.shown import approval_line, approval_table
from countersign.model.approval import Approval
from countersign.runtime.approval_messages import approval_of

_KEY_WAIT_S = 0.25
_NEWS_WAIT_S = 5.0
_REDRAWN_S = 1.0
# What stands above and below the rows.
_AROUND_LINES = 6
_NOTHING = "nothing waits for approval"
_HELP = "up/down: choose   enter: show   a: approve   d: deny   q: quit"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("watch", epilog="Examples: countersign approvals watch --to-decide;  ... watch --json | my-program")(
        watch
    )


def watch(
    to_decide: ToDecide = False,
    mine: Mine = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Watch approvals live. At a terminal, choose one and show, approve or deny it; else a line is printed a change.

    With --json, each change is one object a line. A lost connection is made again.
    """
    presented = bearer(token_file, token, gateway)
    with approvals(gateway, presented) as service, suppress(KeyboardInterrupt):
        feed = Feed(lambda: service.watch(to_decide=to_decide, mine=mine))
        feed.start()
        try:
            if as_json or not are_there():
                _append(feed, as_json=as_json)
            else:
                _Screen(feed, gateway, presented).run()
        finally:
            feed.close()


def _append(feed: Feed, *, as_json: bool) -> None:
    """Print a line for each change until SIGINT."""
    board = Board()
    # An exception in whatever code runs just then may be lost, such as in one that must not raise.
    signal.signal(signal.SIGINT, lambda *_: feed.news.put(Left()))
    while not isinstance(news := feed.next(_NEWS_WAIT_S), Left):
        feed.check()
        if isinstance(news, Lost):
            typer.echo(f"the connection is lost; trying again in {news.again_s:.1f} s", err=True)
        for one in _taken(board, news):
            typer.echo(json.dumps(approval_document(one)) if as_json else approval_line(one, now_us()))


def _taken(board: Board, news: News | None) -> list[Approval]:
    """Tell the board; return what is new to it. Raises the error of a gateway that refuses."""
    match news:
        case Connecting():
            board.begin()
        case Refused(error):
            raise error
        case approvals_pb2.WatchApprovalsResponse():
            return board.take(map(approval_of, news.approvals), whole=news.whole)
        case _:
            pass
    return []


class _Screen:
    """The live view of somebody at a terminal."""

    def __init__(self, feed: Feed, gateway: str, token: str) -> None:
        self._feed = feed
        self._gateway = gateway
        self._token = token
        self._board = Board()
        self._console = Console(highlight=False)
        self._state = "connecting ..."
        self._chosen = ""

    def run(self) -> None:
        """Show and obey until the person leaves."""
        while True:
            with self._live() as live:
                key = self._until_key(live)
            if key is Key.QUIT:
                return
            self._act(key)

    @contextmanager
    def _live(self) -> Iterator[Live]:
        with single_keys(), Live(self._view(), console=self._console, screen=True, auto_refresh=False) as live:
            yield live

    def _until_key(self, live: Live) -> Key:
        """Keep the view up to date until a key wants more than another choice."""
        drawn_s = 0.0
        while True:
            self._feed.check()
            changed = time.monotonic() - drawn_s >= _REDRAWN_S
            while (news := self._feed.next(0)) is not None:
                self._hear(news)
                changed = True
            if changed:
                live.update(self._view(), refresh=True)
                drawn_s = time.monotonic()
            for key in pressed(_KEY_WAIT_S):
                drawn_s = 0.0
                if key in (Key.UP, Key.DOWN):
                    self._choose(1 if key is Key.DOWN else -1)
                elif key is Key.QUIT or self._board.rows():
                    # What was hit after it, before its question was seen, answers nothing.
                    return key

    def _hear(self, news: News) -> None:
        _taken(self._board, news)
        match news:
            case Lost(again_s):
                self._state = f"the connection is lost; trying again in {again_s:.1f} s"
            case approvals_pb2.WatchApprovalsResponse():
                self._state = "live"

    def _position(self, rows: list[Approval]) -> int:
        """Where what was chosen stands now: others come and go above it."""
        return next((position for position, one in enumerate(rows) if one.id == self._chosen), 0)

    def _choose(self, step: int) -> None:
        rows = self._board.rows()
        if rows:
            self._chosen = rows[min(max(self._position(rows) + step, 0), len(rows) - 1)].id

    def _view(self) -> Group:
        rows = self._board.rows()
        # What is chosen stays chosen when another takes its place.
        chosen = self._position(rows)
        self._chosen = rows[chosen].id if rows else ""
        room, width = max(1, self._console.height - _AROUND_LINES), self._console.width
        first = max(0, chosen - room + 1)
        shown = rows[first : first + room]
        body = approval_table(shown, now_us(), chosen=chosen - first, width=width) if rows else Text(_NOTHING)
        return Group(
            Text(f"approvals at {self._gateway} ({self._state})", "bold"), Text(), body, Text(), Text(_HELP, "dim")
        )

    def _act(self, key: Key) -> None:
        """Do what a key says to what is chosen, on the ordinary screen."""
        # What is refused is said, and no reason to leave.
        with suppress(typer.Exit), approvals(self._gateway, self._token) as service:
            seen = service.get(self._chosen)
            if key is Key.SHOW:
                print_approval(seen)
            else:
                decide(service, seen, "", agrees=key is Key.APPROVE, yes=False, version=None, as_json=False)
        with suppress(typer.Abort):
            typer.prompt("enter: back to the list", default="", show_default=False, prompt_suffix=" ")
