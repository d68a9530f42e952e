"""What the gateway tells of approvals, from a thread of its own that connects again when the connection is lost."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import grpc

from countersign.api.approvals.v1 import approvals_pb2
from countersign.cli.approvals.service import Stream

_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 8.0
# Something comes at least every ten seconds.
_SILENCE_S: Final = 30.0
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


@dataclass(frozen=True, slots=True)
class Connecting:
    """A new connection begins: all that there is will be told again."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended; another is tried in ``again_s``."""

    again_s: float


@dataclass(frozen=True, slots=True)
class Left:
    """Whoever watched wants no more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway said no, and would again."""

    error: grpc.RpcError


News: TypeAlias = Connecting | Lost | Left | Refused | approvals_pb2.WatchApprovalsResponse


class Feed:
    """Puts news into ``news`` until it is closed. ``connect`` opens a stream."""

    def __init__(self, connect: Callable[[], Stream]) -> None:
        self.news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._connect = connect
        self._over = threading.Event()
        self._stream: Stream | None = None
        self._heard_s = self._opened_s = 0.0
        self._thread = threading.Thread(target=self._run, name="approvals", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """End the stream and its thread."""
        self._over.set()
        self._hang_up()
        self._thread.join(timeout=5.0)

    def check(self) -> None:
        """Give up a connection on which nothing was heard for long: whatever it led to is gone."""
        if self._opened_s and time.monotonic() - max(self._heard_s, self._opened_s) > _SILENCE_S:
            self._hang_up()

    def next(self, wait_s: float) -> News | None:
        """Return the next piece of news, or nothing when none comes in time."""
        try:
            return self.news.get(timeout=wait_s) if wait_s else self.news.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._over.is_set():
            before_s, ended_well = self._heard_s, False
            try:
                self._follow()
                ended_well = True
            except grpc.RpcError as error:
                if not self._may_pass(error):
                    self.news.put(Refused(error))
                    return
            if self._heard_s > before_s:
                wait_s = _FIRST_WAIT_S
                if ended_well:
                    continue
            # Many that watch lose their connections together.
            pause_s = wait_s * (500 + secrets.randbelow(501)) / 1000
            self.news.put(Lost(pause_s))
            self._over.wait(pause_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _follow(self) -> None:
        """Follow one stream until the gateway ends it, as it does now and then to identify everybody again."""
        self.news.put(Connecting())
        self._opened_s = time.monotonic()
        self._stream = self._connect()
        for told in self._stream:
            self._heard_s = time.monotonic()
            self.news.put(told)

    def _may_pass(self, error: grpc.RpcError) -> bool:
        # Every error of a call is both, which the types do not say.
        call: object = error
        # What never answered is the wrong address rather than one that is away for a moment.
        return isinstance(call, grpc.Call) and call.code() in _PASSING and self._heard_s > 0

    def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
