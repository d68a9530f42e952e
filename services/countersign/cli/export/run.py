"""`countersign export run` and `status`: sinks of gateway.yaml are fed, and how far they are."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from countersign.cli.access import REFUSED, UNREACHABLE, USAGE, stop
from countersign.model.visible import visible
from countersign.runtime.settings import SettingsError, environment, load_sealing_key

if TYPE_CHECKING:
    from countersign.api.recorder.v1 import feed_pb2
    from countersign.cli.wiring.exporting import ExportFile
    from countersign.exports.recorder import RecorderFeed
    from countersign.exports.runner import Standing

TOLD_EVERY_S = 2.0
LOGGED_EVERY_S = 60.0

State = Annotated[Path, typer.Option(help="The state directory of a `countersign up` on this machine.")]
Recorder = Annotated[
    str,
    typer.Option(
        envvar="COUNTERSIGN_RECORDER",
        help="HOST:PORT of a recorder run alone; needs COUNTERSIGN_KEY_FILE. Goes before --state.",
    ),
]
_HERE = Path(".countersign")


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        "run",
        epilog="Examples: countersign export run --config gateway.yaml;  countersign export run siem --once;  "
        "COUNTERSIGN_CONFIG=gateway.yaml COUNTERSIGN_RECORDER=recorder:9000 COUNTERSIGN_KEY_FILE=key "
        "countersign export run",
    )(run)
    app.command(
        "status", epilog="Examples: countersign export status;  countersign export status --most-behind 10000 --json"
    )(status)


def run(
    sink: Annotated[list[str] | None, typer.Argument(help="Only these sinks.", show_default=False)] = None,
    config: Annotated[Path, typer.Option(envvar="COUNTERSIGN_CONFIG", help="The gateway's file.")] = Path(
        "gateway.yaml"
    ),
    state: State = _HERE,
    recorder: Recorder = "",
    once: Annotated[bool, typer.Option("--once", help="End when all is taken that is published now.")] = False,
) -> None:
    """Feed the sinks of gateway.yaml (recording.exports) with what is published of the record, until SIGTERM.

    Each goes on where it stood, at least once: what was taken just before a crash comes again, with the same ids. What
    a sink does not take is tried again, and nothing is left out. A sink that another run feeds waits for its end.
    Edits of gateway.yaml are followed, but with --once.

    Exit code 0: told to stop, or with --once all is taken; 1: with --once, a sink has not all; 2: gateway.yaml is
    refused, or names no such sink.
    """
    from countersign.cli.wiring.exporting import export

    file = _opened(config, sink or [])
    feed, person = _feed(state, recorder), sys.stderr.isatty()
    _configure_logs(person)
    standings = asyncio.run(
        export(
            file,
            feed,
            once=once,
            tell=_Progress() if person else _logged,
            say=_say if person else _unsaid,
            every_s=TOLD_EVERY_S if person else LOGGED_EVERY_S,
        )
    )
    if once and any(one.problem or one.behind or not one.opened for one in standings):
        raise typer.Exit(REFUSED)


def status(
    state: State = _HERE,
    recorder: Recorder = "",
    most_behind: Annotated[
        int | None, typer.Option(min=0, help="End with 1 when a sink is more events behind, for monitoring.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show how far each sink is that was ever fed, and how many published events it lacks.

    Exit code 0; 1: one is more behind than --most-behind; 3: the recorder does not answer.
    """
    from countersign.exports.ports import FeedAway

    try:
        answer = asyncio.run(_ask(_feed(state, recorder)))
    except FeedAway as away:
        raise stop(str(away), UNREACHABLE) from None
    if as_json:
        typer.echo(json.dumps(_document(answer)))
    else:
        Console(soft_wrap=True).print(_table(answer))
    if most_behind is not None and any(_behind(one, answer) > most_behind for one in answer.sinks):
        raise typer.Exit(REFUSED)


def _opened(config: Path, names: Sequence[str]) -> ExportFile:
    from countersign.cli.check import print_problems
    from countersign.cli.wiring.exporting import ExportFile
    from countersign.config import ConfigRefused

    try:
        file = ExportFile(config, environment(), names)
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(USAGE) from None
    if not file.known:
        raise stop(f"{config} names no sinks: add recording.exports, such as {{siem: {{ocsf: {{file: ...}}}}}}", USAGE)
    if unknown := [name for name in names if name not in file.known]:
        raise stop(f"no such sink in {config}: {unknown[0]}; there are: {', '.join(file.known)}", USAGE)
    return file


def _feed(state: Path, recorder: str) -> Callable[[], RecorderFeed]:
    """Return what connects, to be called in the loop that uses it."""
    from countersign.exports.recorder import RecorderFeed
    from countersign.runtime.sealing import service_token
    from countersign.runtime.trust import is_private

    address = recorder or f"unix:{state.resolve() / 'run' / 'recorder.sock'}"
    try:
        token = "" if is_private(address) else service_token(load_sealing_key(environment()))
    except SettingsError as error:
        raise stop(str(error), USAGE) from None
    return lambda: RecorderFeed(address, token)


async def _ask(recorder: Callable[[], RecorderFeed]) -> feed_pb2.ListSinksResponse:
    feed = recorder()
    try:
        return await feed.sinks()
    finally:
        await feed.close()


def _configure_logs(person: bool) -> None:
    from countersign.runtime.logs import configure_logs

    configure_logs("export", "INFO")
    if person:
        # Who looks on is told the same in words.
        logging.disable(logging.CRITICAL)


def _logged(standings: Sequence[Standing]) -> None:
    for one in standings:
        logging.getLogger(__name__).info(
            "export", extra={"sink": one.name, "next_index": one.next_index, "behind": one.behind, "taken": one.taken}
        )


def _say(text: str) -> None:
    for line in text.splitlines():
        typer.echo(visible(line), err=True)


def _unsaid(_: str) -> None:
    """The log says it."""


class _Progress:
    """A line for each sink about which there is news, its end included."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def __call__(self, standings: Sequence[Standing]) -> None:
        for one in standings:
            told = f"{one.next_index:,} of {one.published_size:,}" if one.published_size else "nothing published yet"
            line = f"{one.name}: {told}" + (f"; stands still: {one.problem}" if one.problem else "")
            if self._said.get(one.name) != line:
                self._said[one.name] = line
                _say(line)
        for name in self._said.keys() - {one.name for one in standings}:
            _say(f"{name}: ended, gateway.yaml has it no more")
            del self._said[name]


def _behind(one: feed_pb2.SinkStatus, answer: feed_pb2.ListSinksResponse) -> int:
    return max(0, answer.published_size - one.next_index)


def _document(answer: feed_pb2.ListSinksResponse) -> dict[str, object]:
    sinks = [
        {
            "sink": one.sink,
            "description": one.description,
            "running": one.running,
            "next_index": one.next_index,
            "behind": _behind(one, answer),
            "moved_at": one.moved_at.ToJsonString(),
        }
        for one in answer.sinks
    ]
    return {"published_size": answer.published_size, "sinks": sinks}


def _table(answer: feed_pb2.ListSinksResponse) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("SINK", "LEADS TO", "STATE", "LAST MOVED (UTC)"):
        table.add_column(title, overflow="fold")
    for title in ("HAS", "LACKS"):
        table.add_column(title, justify="right")
    for one in answer.sinks:
        lacks = _behind(one, answer)
        table.add_row(
            Text(visible(one.sink)),
            Text(visible(one.description)),
            Text("running", "green") if one.running else Text("nobody feeds it", "yellow"),
            f"{one.moved_at.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}",
            f"{one.next_index:,}",
            Text(f"{lacks:,}", "yellow" if lacks else ""),
        )
    return table
