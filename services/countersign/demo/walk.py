"""Demo only: `countersign demo` starts everything here and walks a newcomer through it, checking each step."""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import httpx
from rich.console import Console
from rich.text import Text

from countersign.demo import agreeing, proving, steps
from countersign.demo.orders_journal import journal_path
from countersign.demo.parts import PartFailed, Parts, choose_port
from countersign.demo.people import ALICE, BOB, CAROL, SHARED_SECRET
from countersign.demo.places import Places, write_private
from countersign.demo.steps import Outcome, Step
from countersign.runtime.settings import environment

READY_S = 60.0
_COMMAND_S = 60.0
_SHOWN_LINES = 40


class Ended(BaseException):
    """A signal asked the walk to end. Not an ``Exception``: nothing on the way may swallow it."""


def walk(state: Path, listen: str | None, *, once: bool) -> int:
    """Run the demo; returns the exit code: 0 when every step was as told, 1 when not or a part failed, 130 when a
    signal ended a walk that should have been whole.

    ``listen`` is HOST:PORT of the gateway; by default 127.0.0.1:8080, or a free port when that is taken.
    """
    console = Console(highlight=False)
    with _signals_end_it():
        try:
            return _Walk(console, _choose_places(state, listen)).run(once=once)
        except PartFailed as failure:
            console.print(Text(f"the demo cannot go on: {failure}", "bold red"))
            return 1
        except Ended:
            console.print("stopped")
            # Whoever asked for one walk was not given it.
            return 130 if once else 0


def _choose_places(state: Path, listen: str | None) -> Places:
    state.mkdir(parents=True, exist_ok=True)
    wanted = int(listen.rpartition(":")[2]) if listen is not None else choose_port(8080)
    return Places(state.resolve(), wanted, choose_port(8090), choose_port(9000))


@contextmanager
def _signals_end_it() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Ended

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Walk:
    def __init__(self, console: Console, places: Places) -> None:
        self._console = console
        self._places = places
        self._program = _program()
        # Of an earlier walk in the same state directory, sessions are on the record, too.
        self._began = datetime.now(UTC)
        self._failed = 0
        self._number = 0

    def run(self, *, once: bool) -> int:
        began = time.monotonic()
        with Parts(self._places.state) as parts:
            self._start(parts)
            self._fetch_tokens()
            self._console.print(f"everything is up after {time.monotonic() - began:.1f} s\n")
            for step in steps.told(self._places, self._program):
                self._take(step)
            self._take_approval()
            self._take(steps.listing(self._places, self._program))
            self._take_replay()
            self._look_at_target()
            self._sum_up()
            if not once:
                self._stay(parts)
        return 1 if self._failed else 0

    def _start(self, parts: Parts) -> None:
        places = self._places
        places.write_config()
        inherited = environment()
        with_credential = {**inherited, "ORDERS_TOKEN": secrets.token_urlsafe(32)}
        python = sys.executable
        issuer = ["-m", "countersign.demo.issuer", "--port", str(places.issuer_port), "--page", places.signed_in]
        target = ["-m", "countersign.demo.orders", "--port", str(places.orders_port), "--state", str(places.state)]
        gateway = ["up", "-c", str(places.config), "--listen", f"127.0.0.1:{places.gateway_port}"]
        gateway += ["--state", str(places.state / "gateway")]
        journal_path(places.state).unlink(missing_ok=True)
        started = [
            parts.start("issuer", [python, *issuer], inherited),
            parts.start("orders", [python, *target], with_credential),
        ]
        for part in started:
            parts.wait_ready(part, READY_S, self._show_part)
        self._console.print(Text(f"$ {self._by_hand([self._program, *gateway])}", "cyan"), soft_wrap=True)
        up = parts.start("up", [*_runnable(self._program), *gateway], with_credential)
        parts.wait_ready(up, READY_S, self._show_part)

    def _show_part(self, line: str) -> None:
        self._console.print(Text(f"  {line}", "dim"), soft_wrap=True)

    def _fetch_tokens(self) -> None:
        """Get each person's token as anybody would, and keep it where only this user can read it."""
        places = self._places
        told = "\nThe people's tokens come from the demo's issuer and are kept in files (mode 0600):"
        self._console.print(told, soft_wrap=True)
        wanted = (
            (ALICE, ALICE.name, places.governed),
            (BOB, BOB.name, places.governed),
            (BOB, agreeing.BOB_DECIDES, places.gateway),
            (CAROL, CAROL.name, places.gateway),
        )
        for person, name, audience in wanted:
            form = {
                "grant_type": "client_credentials",
                "client_id": person.name,
                "client_secret": SHARED_SECRET,
                "resource": audience,
            }
            answer = httpx.post(f"{places.issuer}/token", data=form, timeout=10)
            if answer.status_code != 200:
                raise PartFailed(f"the issuer gives {person.name} no token: HTTP {answer.status_code}")
            write_private(places.token_file(name), answer.json()["access_token"])
            self._console.print(Text(f"$ {steps.token_curl(places, person.name, audience)}", "cyan"), soft_wrap=True)

    def _take(self, step: Step) -> tuple[Outcome, ...]:
        """Show a step, do it by both commands (if curl is here), and say whether it went as told."""
        self._number += 1
        self._console.print(Text(f"\n{self._number}. {step.title}", "bold"), soft_wrap=True)
        self._console.print(Text(f"$ {self._by_hand(step.command)}", "cyan"), soft_wrap=True)
        outcome = _run([*_runnable(step.command[0]), *step.command[1:]])
        lines = outcome.text.rstrip().splitlines()
        for line in lines[:_SHOWN_LINES]:
            self._console.print(Text(f"  {line}"), soft_wrap=True)
        if len(lines) > _SHOWN_LINES:
            self._console.print(Text(f"  ... {len(lines) - _SHOWN_LINES} more lines", "dim"))
        self._judge(step.check(outcome), "as told")
        if not step.curl:
            return (outcome,)
        self._console.print(Text(f"$ {step.curl}", "cyan"), soft_wrap=True)
        if shutil.which("curl") is None or ("strings" in step.curl and shutil.which("strings") is None):
            self._console.print(Text("  not tried: curl (or strings) is not installed here", "dim"))
            return (outcome,)
        same = _run(["/bin/sh", "-c", step.curl])
        self._judge(step.check_curl(same), "the same with curl")
        return outcome, same

    def _take_approval(self) -> None:
        """Alice asks, bob agrees, alice's calls run."""
        asked = [agreeing.approval_id(outcome) for outcome in self._take(agreeing.asking(self._places, self._program))]
        self._take(agreeing.waiting(self._places, self._program))
        of_command, of_curl = asked[0], asked[-1]
        if of_command is None or of_curl is None:
            self._judge("alice is not told what she waits for", "")
        else:
            self._take(agreeing.agreeing(self._places, self._program, of_command, of_curl))
            self._take(agreeing.running(self._places, self._program))

    def _take_replay(self) -> None:
        session_id = self._session_of_alice()
        if session_id is None:
            self._judge("carol finds no session of alice", "")
        else:
            self._take(steps.replay(self._places, self._program, session_id))
            for step in proving.proofs(self._places, self._program, session_id):
                self._take(step)
            self._take(proving.forgery(self._places, self._program))

    def _session_of_alice(self) -> str | None:
        """The newest session of alice in this walk, as the command line reports it."""
        token_file = str(self._places.token_file(CAROL.name))
        asked = ["sessions", "--gateway", self._places.gateway, "--token-file", token_file, "--subject", ALICE.name]
        asked += ["--since", self._began.isoformat(), "--json"]
        return newest_session(_run([*_runnable(self._program), *asked]).text)

    def _look_at_target(self) -> None:
        """What reached the target: no denied call, and no credential but its own."""
        self._number += 1
        path = journal_path(self._places.state)
        self._console.print(Text(f"\n{self._number}. What the target itself saw", "bold"))
        self._console.print(Text(f"$ cat {shlex.quote(str(path))}", "cyan"), soft_wrap=True)
        entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        self._judge(target_problem(entries), "only allowed calls, only its own credential, nobody's token")

    def _judge(self, problem: str | None, praise: str) -> None:
        if problem is None:
            self._console.print(Text(f"  ✓ {praise}", "green"))
        else:
            self._failed += 1
            self._console.print(Text(f"  ✗ {problem}", "bold red"))

    def _sum_up(self) -> None:
        if self._failed:
            self._console.print(Text(f"\n{self._failed} checks were not as told", "bold red"))
        else:
            self._console.print(Text("\nEvery step was as told.", "bold green"))

    def _stay(self, parts: Parts) -> None:
        places = self._places
        told = f"\nIt stays up: the gateway at {places.gateway}, files in {places.state}. Ctrl-C ends it."
        self._console.print(told, soft_wrap=True)
        while (ended := parts.ended()) is None:
            time.sleep(0.5)
        raise PartFailed(f"{ended.name} ended with {ended.process.returncode} (see {ended.log})")

    def _by_hand(self, command: list[str] | tuple[str, ...]) -> str:
        return shlex.join(command)


def newest_session(listed: str) -> str | None:
    """The first session id in what ``countersign sessions --json`` printed (newest first); ``None`` without one."""
    try:
        document = json.loads(listed)
    except ValueError:
        return None
    sessions = document.get("sessions", []) if isinstance(document, Mapping) else document
    first = sessions[0] if isinstance(sessions, list) and sessions else {}
    found = first.get("session_id", first.get("sessionId")) if isinstance(first, Mapping) else None
    return found if isinstance(found, str) else None


def target_problem(entries: list[dict[str, object]]) -> str | None:
    """Say what in the target's journal should not be there, or is missing."""
    calls = [entry for entry in entries if entry["kind"] == "call"]
    executed = {entry["name"] for entry in calls}
    foreign = [entry for entry in entries if entry["kind"] == "request" and entry["credential"] != "own"]
    if foreign or any(entry["foreign_elsewhere"] for entry in entries):
        return "a credential that is not its own reached the target"
    if "export_table" in executed:
        return "the denied export reached the target"
    agreed = [json.dumps(entry["arguments"]) for entry in calls if entry["name"] == "get_customer"]
    if len(agreed) != len(set(agreed)):
        return "what was agreed to once ran twice"
    return None if "query" in executed else "the allowed query did not reach the target"


def _program() -> str:
    """How a person here would write ``countersign``."""
    beside = Path(sys.executable).with_name("countersign")
    found = shutil.which("countersign")
    if found is not None and Path(found) == beside:
        return "countersign"
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)


def _runnable(program: str) -> list[str]:
    """The same program by its full path: a child must not depend on PATH."""
    beside = Path(sys.executable).with_name("countersign")
    return [str(beside)] if Path(program).name == "countersign" else [program]


def _run(command: list[str]) -> Outcome:
    try:
        done = subprocess.run(  # noqa: S603 - the walk's own commands, which it shows
            command, capture_output=True, text=True, errors="replace", timeout=_COMMAND_S
        )
    except subprocess.TimeoutExpired:
        return Outcome(f"no answer within {_COMMAND_S:.0f} s", 124)
    return Outcome(done.stdout + done.stderr, done.returncode)
