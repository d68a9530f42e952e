"""Puts a witness together of its files, and serves it."""

from __future__ import annotations

import asyncio
import logging
import signal
import stat
from collections.abc import Callable
from pathlib import Path

from countersign.runtime.listening import bound
from countersign.runtime.tls import BadCertificate, ServerCertificate
from countersign.runtime.web import WebServer
from countersign.tlog import BadKey, KeyKind, SignerKey, VerifierKey, parse_signer, parse_verifier
from countersign.witness.app import witness_app
from countersign.witness.errors import Misconfigured
from countersign.witness.judging import Witness, by_origin
from countersign.witness.remembered import Remembered

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1024 * 1024


class WitnessPart:
    """A witness with the key, the logs and the folder of these files; ``tls`` are a certificate and its private key.

    Raises ``Misconfigured``, ``StateUnusable`` and ``CannotListen`` when made; takes requests while it runs.
    """

    def __init__(
        self,
        *,
        key_file: Path,
        logs_file: Path,
        state: Path,
        listen: str,
        clock_s: Callable[[], int],
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        signer, logs = read_signer(key_file), read_logs(logs_file)
        self._certificate = _certificate(tls)
        self.key = signer.verifier
        self._remembered = Remembered(state, by_origin(logs))
        self._listen = listen
        try:
            app = witness_app(Witness(signer, logs, self._remembered, clock_s))
            shown = self._certificate.context if self._certificate else None
            self._server = WebServer(app, bound(listen), tls=shown)
        except BaseException:
            self._remembered.close()
            raise

    @property
    def serving(self) -> bool:
        """Whether it takes requests."""
        return self._server.serving

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, or until told to ``end``."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        # Whoever runs a log needs the key: it stands in gateway.yaml.
        told = {"address": self._listen, "key": str(self.key), "tls": self._certificate is not None}
        log.info("serving", extra=told)
        following = asyncio.ensure_future(self._certificate.follow()) if self._certificate else None
        try:
            await self._server.listen()
        finally:
            if following is not None:
                following.cancel()
            self._remembered.close()
        log.info("stopped")

    def end(self) -> None:
        """Take no more requests, and have ``run`` return when those under way are answered."""
        self._server.end()


def _certificate(files: tuple[Path, Path] | None) -> ServerCertificate | None:
    try:
        return ServerCertificate(*files) if files is not None else None
    except BadCertificate as problem:
        raise Misconfigured(str(problem)) from None


def read_signer(path: Path) -> SignerKey:
    """Read the witness's key: one signer's key of a witness (c2sp.org/tlog-cosignature). Raises ``Misconfigured``."""
    lines = _lines(path, "the witness's key", private=True)
    try:
        signer = parse_signer(lines[0]) if len(lines) == 1 else None
    except BadKey as problem:
        raise Misconfigured(f"{path} is not a witness's key: {problem}") from None
    if signer is None or signer.verifier.kind is not KeyKind.COSIGNATURE:
        raise Misconfigured(f"{path} is not one witness's key: make one with `countersign log new-key --witness NAME`")
    return signer


def read_logs(path: Path) -> tuple[VerifierKey, ...]:
    """Read the logs that are known: a verifier key a line; # begins a comment. Raises ``Misconfigured``."""
    keys = []
    for number, line in enumerate(_lines(path, "the list of logs"), 1):
        try:
            key = parse_verifier(line)
        except BadKey as problem:
            # The line is not shown: it may be a key of the other kind.
            raise Misconfigured(f"{path}: key {number} is not a log's verifier key: {problem}") from None
        if key.kind is not KeyKind.NOTE:
            raise Misconfigured(f"{path}: the key of {key.name} is a witness's, and no log's")
        keys.append(key)
    if not keys:
        raise Misconfigured(f"{path} names no log: write a log's verifier key on a line (`countersign log status`)")
    return tuple(keys)


def _lines(path: Path, what: str, *, private: bool = False) -> list[str]:
    try:
        with path.open("rb") as file:
            if private and stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise Misconfigured(f"others may read {path}, which holds {what}: chmod 600 {path}")
            text = file.read(MAX_FILE_BYTES).decode()
    except OSError as error:
        raise Misconfigured(f"{path}, which holds {what}, cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path}, which holds {what}, is not UTF-8") from None
    lines = [line.strip() for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith("#")]
