"""TLS with certificates from files: what a server shows, read again when it changes, and whom a client believes."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import stat
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import certifi

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
MAX_FILE_BYTES: Final = 1024 * 1024


class BadCertificate(Exception):
    """Files that TLS cannot be done with. The message names them and says what to do; it holds nothing of a key."""


class ServerCertificate:
    """A certificate with its key, as new connections are shown it. Raises ``BadCertificate`` when made.

    ``certificate`` holds it and those that vouch for it, ``key`` its private key, both PEM; nobody but the key's owner
    may read that. What connections began with stays theirs.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._seen = self._content()
        self._shown = _shown(certificate, key)
        self._problem = ""
        self.context = _server_context()
        """For the server. Each connection is handed on to what is shown when it begins: never half of an old pair."""
        self.context.sni_callback = self._hand_on
        # One that came without a certificate of its own would be refused before it is asked for a name.
        _load(self.context, certificate, key)

    async def follow(self) -> None:
        """Look at the files once a second until cancelled; what is wrong with them is logged once."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take up what the files hold now; what cannot be used leaves what is shown. Raises nothing."""
        problem = ""
        try:
            self._look()
        except BadCertificate as error:
            problem = str(error)
        if problem and problem != self._problem:
            log.error("the new certificate is not used; the one before it is shown on: %s", problem)
        self._problem = problem

    def _look(self) -> None:
        content = self._content()
        if content == self._seen:
            return
        shown = _shown(self._certificate, self._key)
        if content != self._content():
            return  # still being written
        self._seen, self._shown = content, shown
        log.info("a new certificate is shown", extra={"certificate": str(self._certificate)})

    def _hand_on(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._shown

    def _content(self) -> tuple[bytes, bytes]:
        """What the files hold, by its digest: no key is kept in memory for this. Raises ``BadCertificate``."""
        return _digest(self._certificate, private=False), _digest(self._key, private=True)


def trusting(ca: bytes | None) -> ssl.SSLContext:
    """Return what a client checks servers with: certificates in ``ca`` (PEM) alone, or with ``None`` the system's.

    The server's name is checked, too. Raises ``BadCertificate`` when ``ca`` holds none.
    """
    if ca is None:
        return _of_the_system()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=ca.decode("ascii"))
    except (ValueError, ssl.SSLError):
        raise BadCertificate("it holds no certificates (PEM)") from None
    return context


def refusal(error: BaseException) -> str:
    """Return why TLS failed, where ``error`` was caused by that; else an empty text. For a log: it quotes no peer."""
    seen: BaseException | None = error
    for _ in range(10):
        match seen:
            case ssl.SSLCertVerificationError():
                return f"its certificate is refused: {seen.verify_message}"
            case ssl.SSLError():
                return f"TLS failed: {seen.reason or type(seen).__name__}"
            case None:
                break
        seen = seen.__cause__ or seen.__context__
    return ""


@cache
def _of_the_system() -> ssl.SSLContext:
    """To read all of its certificates takes tens of milliseconds."""
    context = ssl.create_default_context()
    if ssl.get_default_verify_paths().cafile is None:
        context.load_verify_locations(certifi.where())
    return context


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _shown(certificate: Path, key: Path) -> ssl.SSLContext:
    context = _server_context()
    _load(context, certificate, key)
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # With an answer at hand, OpenSSL does not ask at the terminal for the passphrase of a key that has one.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:  # of TLS and of files alike
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise BadCertificate(
            f"{certificate} and {key} are no certificate with its private key, PEM without a passphrase ({why})"
        ) from None


def _digest(path: Path, *, private: bool) -> bytes:
    try:
        # Not to hang on what is a pipe and no file.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
                raise BadCertificate(f"{path} is no file of at most {MAX_FILE_BYTES} bytes")
            if private and stat.S_IMODE(status.st_mode) & 0o077:
                raise BadCertificate(f"others may read {path}, which holds a private key: chmod 600 {path}")
            return sha256(file.read(MAX_FILE_BYTES)).digest()
    except OSError as error:
        raise BadCertificate(f"{path} cannot be read ({error.strerror})") from None
