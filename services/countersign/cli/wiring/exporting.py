"""Wires `countersign export run`: sinks of gateway.yaml, fed from the recorder until told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from countersign.config import ConfigWatcher, SecretUse
from countersign.config.types import CefSink, CsvSink, OcsfSink, OtlpSink, Sink
from countersign.exports import cef, ocsf, otlp, table
from countersign.exports.collector import CollectorDestination
from countersign.exports.files import FileDestination
from countersign.exports.ports import Destination
from countersign.exports.recorder import RecorderFeed
from countersign.exports.runner import SinkRunner, Standing
from countersign.exports.syslog import SyslogDestination
from countersign.runtime.status import product_version

# What is under way when it is told to stop has so long.
DRAIN_S = 10.0


def configured(config: Path, env: Mapping[str, str]) -> tuple[Sink, ...]:
    """Return the sinks of gateway.yaml, with their credentials. Raises ``ConfigRefused``."""
    return ConfigWatcher(config, env, reads={SecretUse.EXPORTS}).current.recording.exports


async def export(
    sinks: Sequence[Sink],
    recorder: Callable[[], RecorderFeed],
    *,
    once: bool,
    tell: Callable[[Sequence[Standing]], None],
    every_s: float,
) -> list[Standing]:
    """Feed all ``sinks`` until SIGTERM or SIGINT, or with ``once`` until they have what is published now.

    ``tell`` is called every ``every_s`` seconds, and at the end. Returns how they stand. One that fails or hangs keeps
    none of the others waiting.
    """
    feed = recorder()
    runners = [_runner(sink, feed, once) for sink in sinks]
    standings = [runner.standing for runner in runners]
    tasks: list[asyncio.Future[None]] = [asyncio.ensure_future(runner.run()) for runner in runners]
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        for runner in runners:
            runner.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    telling = asyncio.ensure_future(_tell(tell, standings, every_s))
    drained: asyncio.Future[None] = asyncio.ensure_future(_drained(stopping))
    try:
        waiting = set(tasks)
        while waiting and not drained.done():
            done, _ = await asyncio.wait({*waiting, drained}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
    finally:
        for task in (telling, drained, *tasks):
            task.cancel()
        await asyncio.gather(telling, drained, *tasks, return_exceptions=True)
        await feed.close()
    tell(standings)
    return standings


async def _drained(stopping: asyncio.Event) -> None:
    await stopping.wait()
    await asyncio.sleep(DRAIN_S)


async def _tell(tell: Callable[[Sequence[Standing]], None], standings: Sequence[Standing], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        tell(standings)


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
