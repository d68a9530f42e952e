"""Wires `countersign export run`: sinks of gateway.yaml, fed from the recorder until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from countersign.config import POLL_S, ConfigWatcher, GatewayConfig, SecretUse, secrets
from countersign.config.types import CefSink, CsvSink, OcsfSink, OtlpSink, Secret, Sink
from countersign.exports import cef, ocsf, otlp, table
from countersign.exports.collector import CollectorDestination
from countersign.exports.files import FileDestination
from countersign.exports.lineup import DRAIN_S, Lineup
from countersign.exports.ports import Destination
from countersign.exports.recorder import RecorderFeed
from countersign.exports.runner import SinkRunner, Standing
from countersign.exports.syslog import SyslogDestination
from countersign.runtime.status import product_version

log = logging.getLogger(__name__)


class ExportFile:
    """gateway.yaml as `export run` follows it: its sinks, or those of them that ``names`` name.

    Raises ``ConfigRefused`` at construction when the file is refused; later a refused edit leaves the version before it
    in force. Tokens in files are read again when they change there, certificates with each connection.
    """

    def __init__(self, config: Path, env: Mapping[str, str], names: Collection[str] = ()) -> None:
        self._watcher = ConfigWatcher(config, env, reads={SecretUse.EXPORTS})
        self._names = frozenset(names)
        self._refused = ""

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all sinks that the version in force has."""
        return tuple(sink.name for sink in self._watcher.current.recording.exports)

    @property
    def sinks(self) -> list[Sink]:
        """Those to feed, as the version in force states them."""
        found = self._watcher.current.recording.exports
        return [sink for sink in found if not self._names or sink.name in self._names]

    async def follow(self, lineup: Lineup, say: Callable[[str], None], poll_s: float = POLL_S) -> None:
        """Have ``lineup`` feed what each version that takes force states, until cancelled; ``say`` tells people."""
        while True:
            await asyncio.sleep(poll_s)
            try:
                changed = await asyncio.to_thread(self._poll)
            except Exception as error:
                # A fault of ours must not end the following.
                log.exception("gateway.yaml cannot be followed", extra={"error": type(error).__name__})
                continue
            if changed is not None:
                log.info("gateway.yaml took force", extra={"policy_version": changed.version})
                say(f"gateway.yaml: {changed.version} took force")
                lineup.feed(self.sinks)
            self._tell_of_refusal(say)

    def _poll(self) -> GatewayConfig | None:
        return self._watcher.poll(again=any(map(_token_changed, self.sinks)))

    def _tell_of_refusal(self, say: Callable[[str], None]) -> None:
        """Tell why an edit is refused: once, not with every look."""
        problem, version = str(self._watcher.problem or ""), self._watcher.current.version
        if problem and problem != self._refused:
            log.error(
                "gateway.yaml was edited and refused; the version before it stays in force",
                extra={"problems": problem, "policy_version": version},
            )
            say(f"gateway.yaml: REFUSED, {version} stays in force:\n{problem}")
        self._refused = problem


async def export(
    file: ExportFile,
    recorder: Callable[[], RecorderFeed],
    *,
    once: bool,
    tell: Callable[[Sequence[Standing]], None],
    say: Callable[[str], None],
    every_s: float,
) -> list[Standing]:
    """Feed the sinks of ``file`` as it is edited, until SIGTERM or SIGINT.

    With ``once``, those that it has now, until they have what is published now. ``tell`` is called every ``every_s``
    seconds, and at the end. Returns how they stand. One that fails or hangs keeps none of the others waiting.
    """
    feed = recorder()
    lineup = Lineup(lambda sink: _runner(sink, feed, once))
    lineup.feed(file.sinks)
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        lineup.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    beside = [asyncio.ensure_future(_tell(tell, lineup, every_s))]
    if not once:
        beside.append(asyncio.ensure_future(file.follow(lineup, say)))
    # Who follows edits may feed others again though all were taken out: only to be stopped is an end.
    ended = asyncio.ensure_future(_ended(lineup, None if once else stopping))
    drained = asyncio.ensure_future(_drained(stopping))
    try:
        await asyncio.wait({ended, drained}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*beside, ended, drained):
            task.cancel()
        await asyncio.gather(*beside, ended, drained, return_exceptions=True)
        await lineup.close()
        await feed.close()
    tell(lineup.standings)
    return lineup.standings


def _token_changed(sink: Sink) -> bool:
    """Whether the file of a sink's token holds another than is in force, or none."""
    if not isinstance(sink.how, OtlpSink) or sink.how.token is None or not sink.how.token_file:
        return False
    try:
        return Secret(secrets.from_file(Path(sink.how.token_file))) != sink.how.token
    except secrets.Unreadable:
        return True


async def _ended(lineup: Lineup, stopping: asyncio.Event | None) -> None:
    if stopping is not None:
        await stopping.wait()
    await lineup.ended()


async def _drained(stopping: asyncio.Event) -> None:
    await stopping.wait()
    await asyncio.sleep(DRAIN_S)


async def _tell(tell: Callable[[Sequence[Standing]], None], lineup: Lineup, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        tell(lineup.standings)


def _runner(sink: Sink, feed: RecorderFeed, once: bool) -> SinkRunner:
    destination, bodies = _destination(sink)
    return SinkRunner(sink.name, describe(sink), destination, feed, bodies=bodies, once=once)


def _destination(sink: Sink) -> tuple[Destination, bool]:
    """Return where a sink leads, and whether bodies go along."""
    version = product_version()
    match sink.how:
        case OcsfSink(file=file, bodies=bodies):
            return FileDestination(sink.name, Path(file), lambda fact: ocsf.line(fact, version)), bodies
        case CsvSink(file=file):
            return FileDestination(sink.name, Path(file), table.line, table.header()), False
        case OtlpSink() as how:
            return CollectorDestination(how, lambda facts: otlp.export_request(facts, version)), how.bodies
        case CefSink() as how:
            hostname = socket.gethostname()
            return SyslogDestination(sink.name, how, lambda fact: cef.frame(fact, hostname, version)), False


def describe(sink: Sink) -> str:
    """Return a sink's kind and where it leads, for the record: nothing secret, at most 500 characters."""
    match sink.how:
        case OcsfSink(file=file):
            text = f"ocsf {Path(file).absolute()}"
        case CsvSink(file=file):
            text = f"csv {Path(file).absolute()}"
        case OtlpSink(endpoint=endpoint):
            parts = urlsplit(endpoint)
            # Without what a URL may hold beside its host.
            text = f"otlp {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        case CefSink(host=host, port=port):
            text = f"cef {host}:{port}"
    return text[:500]
