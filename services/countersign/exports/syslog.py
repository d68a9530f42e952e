"""Messages over TLS syslog (RFC 5425). Syslog has no acknowledgement: see ``SyslogDestination`` for what stands in."""

from __future__ import annotations

import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from countersign.config.types import CefSink
from countersign.exports.facts import Fact
from countersign.exports.ports import NotTaken
from countersign.exports.threads import OwnThread

CONNECT_S = 10.0
SEND_S = 20.0
STOOD_S = 0.1
"""How long the connection must have stood, unbroken, after all was delivered to the receiver's system."""

_LOOK_S = 0.002
_MOST_LOOK_S = 0.05


class SyslogDestination:
    """Sends frames that ``frame`` makes; see ``Destination``.

    Events count as taken when the receiver's system has acknowledged every byte (TCP), and the connection stood a
    moment longer: a receiver that died or turned us away with bytes unread resets it. What a receiver read and lost is
    beyond what syslog can tell.
    """

    def __init__(self, name: str, how: CefSink, frame: Callable[[Fact], bytes]) -> None:
        self._how = how
        self._frame = frame
        self._thread = OwnThread(name)
        self._socket: ssl.SSLSocket | None = None

    async def take(self, facts: Sequence[Fact]) -> None:
        """See ``Destination.take``."""
        await self._thread.run(lambda: self._send(b"".join([self._frame(fact) for fact in facts])))

    async def close(self) -> None:
        """See ``Destination.close``."""
        await self._thread.run(self._let_go)

    def _send(self, frames: bytes) -> None:
        try:
            if self._socket is not None and not _stands(self._socket, 0.0):
                self._let_go()
            if self._socket is None:
                self._socket = _connect(self._how)
            connection = self._socket
            connection.settimeout(SEND_S)
            connection.sendall(frames)
            _delivered(connection)
            if not _stands(connection, STOOD_S):
                raise NotTaken("the receiver closed the connection")
        except BaseException as error:
            self._let_go()
            if isinstance(error, OSError):
                raise NotTaken(_why(error)) from None
            raise

    def _let_go(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):
                connection.close()


def _connect(how: CefSink) -> ssl.SSLSocket:
    """Return a connection to a receiver whose certificate is for its name, and trusted. Raises ``OSError``."""
    # Read anew each time: certificates are renewed.
    context = ssl.create_default_context(cafile=how.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if how.certificate:
        context.load_cert_chain(how.certificate, how.key or None)
    plain = socket.create_connection((how.host, how.port), timeout=CONNECT_S)
    try:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return context.wrap_socket(plain, server_hostname=how.host)
    except BaseException:
        plain.close()
        raise


def _delivered(connection: ssl.SSLSocket) -> None:
    """Return when the other side's system acknowledged all bytes. Raises ``NotTaken`` when it does not in time."""
    deadline = time.monotonic() + SEND_S
    wait_s = _LOOK_S
    while _unacknowledged(connection):
        if time.monotonic() > deadline:
            raise NotTaken("the receiver does not take what is sent")
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _MOST_LOOK_S)


def _unacknowledged(connection: ssl.SSLSocket) -> int:
    """Bytes in the socket's queue for sending, sent ones included (SIOCOUTQ, which Linux numbers like TIOCOUTQ)."""
    raw = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", raw)[0])


def _stands(connection: ssl.SSLSocket, for_s: float) -> bool:
    """Whether the connection is open, and stays so for a while. What a receiver says is not for us, and read away."""
    deadline = time.monotonic() + for_s
    connection.settimeout(0)
    watch = select.poll()
    watch.register(connection, select.POLLIN)
    while True:
        if not watch.poll(max(0.0, deadline - time.monotonic()) * 1_000):
            return True
        try:
            if not connection.recv(4096):
                return False
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            # A record of TLS itself, such as the tickets that begin a connection.
            if time.monotonic() >= deadline:
                return True
        except OSError:
            return False


def _why(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the receiver's certificate is refused ({error.verify_message})"
        case ssl.SSLError():
            return f"TLS failed ({error.reason or type(error).__name__})"
        case _:
            return f"the receiver cannot be reached ({type(error).__name__})"
