"""Following what the gateway tells, over connections that are lost and made again."""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Generic, Protocol, TypeVar

import grpc
import typer

FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 8.0
# Something comes at least every ten seconds.
_SILENCE_S: Final = 30.0
_LOOK_S: Final = 0.1
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

Told = TypeVar("Told", covariant=True)


class Stream(Protocol[Told]):
    """What the gateway tells, until it ends or is cancelled."""

    def __iter__(self) -> Iterator[Told]:
        """Yield what comes; raises ``grpc.RpcError``."""

    def cancel(self) -> object:
        """End it."""


class Following(Generic[Told]):
    """Tells what streams tell, one after the other, until it is told to ``end``.

    ``connect`` opens a stream that goes on where the last one broke off. That nobody answers at first, and what the
    gateway refuses, is an error (``grpc.RpcError``). ``ends_empty`` says that a stream which ends in order, and said
    nothing, has nothing more to say.
    """

    def __init__(self, connect: Callable[[], Stream[Told]], *, ends_empty: bool = False) -> None:
        self._connect = connect
        self._ends_empty = ends_empty
        self._ended = self._finished = self._telling = False
        self._stream: Stream[Told] | None = None
        self._heard_s = 0.0
        self._watcher = threading.Thread(target=self._watch, name="following", daemon=True)

    def end(self) -> None:
        """Tell no more. Takes no lock, so that a signal's handler may call it."""
        self._ended = True

    def told(self) -> Iterator[Told]:
        """Yield what comes, over all connections; may be asked for once."""
        self._watcher.start()
        try:
            yield from self._connections()
        finally:
            self._finished = True

    def _connections(self) -> Iterator[Told]:
        wait_s, ever = FIRST_WAIT_S, False
        while not self._is_over():
            heard, lost = False, False
            try:
                for each in self._opened():
                    self._heard_s = time.monotonic()
                    heard = ever = self._telling = True
                    yield each
                    self._heard_s, self._telling = time.monotonic(), False
            except grpc.RpcError as error:
                if self._is_over():
                    return
                if not (ever and _may_pass(error)):
                    raise
                lost = True
            if heard:
                wait_s = FIRST_WAIT_S
            elif self._ends_empty and not lost:
                return
            if self._is_over() or (heard and not lost):
                continue
            # Many that follow lose their connections together.
            pause_s = wait_s * (500 + secrets.randbelow(501)) / 1000
            typer.echo(f"the connection is lost; trying again in {pause_s:.1f} s", err=True)
            self._pause(pause_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    @contextmanager
    def until_interrupted(self) -> Iterator[None]:
        """Have the first Ctrl-C end it in order while the block runs."""

        def interrupted(_: int, __: FrameType | None) -> None:
            self.end()

        try:
            # An exception in whatever code runs just then may be lost, such as in one that must not raise.
            before = signal.signal(signal.SIGINT, interrupted)
        except ValueError:  # not in the main thread: there is no Ctrl-C
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _is_over(self) -> bool:
        return self._ended

    def _opened(self) -> Stream[Told]:
        self._heard_s = time.monotonic()
        self._stream = self._connect()
        return self._stream

    def _pause(self, pause_s: float) -> None:
        until_s = time.monotonic() + pause_s
        while not self._is_over() and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _LOOK_S))

    def _watch(self) -> None:
        """Hang up when it is to end, and where nothing is heard any more: whatever that led to is gone."""
        while not self._finished:
            time.sleep(_LOOK_S)
            # Whoever is told may take their time.
            silent = not self._telling and time.monotonic() - self._heard_s > _SILENCE_S
            if (self._ended or silent) and self._stream is not None:
                self._stream.cancel()


def _may_pass(error: grpc.RpcError) -> bool:
    # Every error of a call is both, which the types do not say.
    call: object = error
    return isinstance(call, grpc.Call) and call.code() in _PASSING
