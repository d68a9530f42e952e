"""Events on their way out, a recorder's feed that a test holds the lever of, and a syslog receiver."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.timestamp_pb2 import Timestamp

from countersign.api.recorder.v1 import event_pb2, feed_pb2
from countersign.exports.facts import Fact, fact_of
from countersign.exports.ports import FeedAway, NotTaken, Page, Run, RunLost, SinkHeld
from countersign.model.event import Event
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, START_US, new_id, request

OWNER = event_pb2.Principal(issuer=ALICE.issuer, subject=ALICE.subject, groups=ALICE.groups, kind="person")


def fact(event: Event, index: int = 7, *, erased: bool = False, owner: event_pb2.Principal | None = OWNER) -> Fact:
    """The fact of an event that the recorder published."""
    return message_fact(to_message(event), index, erased=erased, owner=owner)


def message_fact(
    event: event_pb2.Event, index: int = 7, *, erased: bool = False, owner: event_pb2.Principal | None = OWNER
) -> Fact:
    """The same of a message, which may say what senders cannot."""
    recorded_at = Timestamp()
    recorded_at.FromMicroseconds(START_US + 2_000_000)
    recorded = event_pb2.RecordedEvent(
        index=index, sequence=3, recorded_at=recorded_at, event=event, body_erased=erased
    )
    return fact_of(feed_pb2.PublishedEvent(event=recorded, principal=owner))


def facts(count: int, start: int = 0) -> list[Fact]:
    """Requests with rising indices."""
    return [fact(request(), index) for index in range(start, start + count)]


@dataclass
class HeldFeed:
    """A feed of ``published`` events; ``cursor`` is what a sink has for sure. ``away`` and ``held`` make it fail."""

    published: list[Fact]
    cursor: int = 0
    page: int = 10
    away: bool = False
    held: bool = False
    lost: bool = False
    asked: int = 0
    opened: int = 0
    released: int = 0
    beats: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, sink: str, description: str) -> Run:
        self._check()
        self.asked += 1
        if self.held:
            raise SinkHeld
        self.opened += 1
        return Run(new_id(), self.cursor)

    async def pages(self, run: Run, from_index: int, *, bodies: bool) -> AsyncGenerator[Page, None]:
        while True:
            self._check()
            page = self.published[from_index : from_index + self.page]
            from_index += len(page)
            yield Page(page, from_index, len(self.published))
            if not page:
                self.more.clear()
                await self.more.wait()

    async def move(self, sink: str, run: Run, next_index: int, *, release: bool = False) -> None:
        self._check()
        if self.lost:
            raise RunLost
        self.beats += next_index == 0 and not release
        self.cursor = max(self.cursor, next_index)
        self.released += release

    def _check(self) -> None:
        if self.away:
            raise FeedAway("away")


@dataclass
class HeldDestination:
    """Takes events; ``refusals`` says why the next tries fail, ``poison`` which index always does."""

    taken: list[Fact] = field(default_factory=list)
    refusals: list[NotTaken] = field(default_factory=list)
    poison: int = -1
    tries: int = 0
    closed: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, facts: Sequence[Fact]) -> None:
        self.tries += 1
        self.came.set()
        if self.refusals:
            raise self.refusals.pop(0)
        if self.poison in [one.index for one in facts]:
            raise NotTaken("refused", smaller=True)
        self.taken += facts

    async def close(self) -> None:
        self.closed += 1

    @property
    def indices(self) -> list[int]:
        return [one.index for one in self.taken]


@dataclass(frozen=True)
class Certificates:
    """Files: who vouches, and a certificate for 127.0.0.1 with its key."""

    ca: Path
    certificate: Path
    key: Path


def certificates(folder: Path, *, name: str = "127.0.0.1") -> Certificates:
    """A certificate that vouches for itself, for the address or host ``name``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = datetime.now(UTC)
    with suppress(ValueError):
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    if not name[0].isdigit():
        alternative = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificates(certificate, certificate, secret)


@dataclass
class Receiver:
    """A syslog receiver over TLS (RFC 5425): ``messages`` are what came, each without its length.

    With ``hang_up_after`` it resets the connection once so many bytes were read; once.
    """

    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    hang_up_after: int = -1
    problems: list[str] = field(default_factory=list)

    def serve(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Take one connection after the other until the listener is closed."""
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    self._read(connection)
            except OSError as error:
                self.problems.append(type(error).__name__)

    def _read(self, connection: ssl.SSLSocket) -> None:
        buffer = b""
        while True:
            if self.hang_up_after >= 0:
                connection.recv(self.hang_up_after)
                self.hang_up_after = -1
                return
            piece = connection.recv(65536)
            if not piece:
                if buffer:
                    self.problems.append("half a message")
                return
            buffer = self._framed(buffer + piece)

    def _framed(self, buffer: bytes) -> bytes:
        while True:
            length, blank, rest = buffer.partition(b" ")
            if not blank or len(rest) < int(length):
                return buffer
            self.messages.append(rest[: int(length)])
            buffer = rest[int(length) :]


@contextmanager
def receiving(served: Certificates, *, hang_up_after: int = -1) -> Iterator[Receiver]:
    """A receiver at a free port of 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served.certificate, served.key)
    receiver = Receiver(hang_up_after=hang_up_after)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver.port = listener.getsockname()[1]
        thread = threading.Thread(target=receiver.serve, args=(listener, context), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
