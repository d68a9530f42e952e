"""Demo only: the steps of the walk: who does what, the commands that do it, and how one sees that it went as told."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from countersign.api.recorder.v1 import session_pb2
from countersign.demo.orders_data import database_path
from countersign.demo.places import SEAL_AFTER_S, Places

SQL = (
    "SELECT o.id, c.name, c.email, c.ssn, k.card, n.text FROM orders o JOIN customers c ON c.id = o.customer_id "
    "JOIN cards k ON k.customer_id = c.id JOIN notes n ON n.order_id = o.id ORDER BY o.id LIMIT 3"
)
HIDDEN = "SELECT 1 /* only looking */ ; DELETE FROM orders -- LIMIT 1"
READING_ONLY = "Only statements that read, please."
DENIAL = "Exports go through the data team."
_SESSIONS = "countersign.api.recorder.v1.SessionService"
_CREDENTIAL = re.compile("AK" + r"IA\w{16}|gh" + r"p_\w{36}|(?<=access_key=)\S{40}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed (both streams) and how it ended."""

    text: str
    code: int


Check = Callable[[Outcome], str | None]
"""Says what is not as told, or ``None``."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its title, the ``countersign`` command, and the check that it must pass; the same with curl, if it can.

    ``command`` is run without a shell, ``curl`` by one.
    """

    title: str
    command: tuple[str, ...]
    curl: str = ""
    check: Check = lambda _: None
    check_curl: Check = lambda _: None


def told(places: Places, program: str) -> tuple[Step, ...]:
    """The steps before carol's replay, which needs the session that these make."""
    tools = ("tools", "list", *as_person("alice", places))
    bob_query = ("call", "query", "sql=SELECT 1", *as_person("bob", places))
    raw = _raw_values(database_path(places.state))
    # What waits for approval may be called, too.
    offered = ("query", "list_tables", "get_customer")
    return (
        Step(
            "alice (analysts) lists the tools: she sees only what she may call",
            (program, *tools),
            mcp_curl(places, "alice", "tools/list", {}),
            all_of(ends(0), shows(*offered), hides(("export_table", "describe_table"))),
            all_of(ends(0), shows(*offered), hides(("export_table", "describe_table"))),
        ),
        Step(
            "alice queries: the rows come back masked",
            (program, "call", "query", f"sql={SQL}", *as_person("alice", places)),
            mcp_curl(places, "alice", "tools/call", {"name": "query", "arguments": {"sql": SQL}}),
            all_of(ends(0), shows("[EMAIL]", "[SSN]", "[CARD]"), hides(raw)),
            all_of(ends(0), shows("[EMAIL]", "[SSN]", "[CARD]"), hides(raw)),
        ),
        Step(
            "alice exports: denied, with the rule's message",
            (program, "call", "export_table", "table=customers", *as_person("alice", places)),
            mcp_curl(places, "alice", "tools/call", {"name": "export_table", "arguments": {"table": "customers"}}),
            all_of(ends(1), shows(DENIAL)),
            all_of(ends(0), shows(DENIAL, '"isError":true', ignore_spaces=True)),
        ),
        Step(
            "alice hides a DELETE in a query: the statement is understood, and denied",
            (program, "call", "query", f"sql={HIDDEN}", *as_person("alice", places)),
            mcp_curl(places, "alice", "tools/call", {"name": "query", "arguments": {"sql": HIDDEN}}),
            all_of(ends(1), shows(READING_ONLY)),
            all_of(ends(0), shows(READING_ONLY, '"isError":true', ignore_spaces=True)),
        ),
        Step(
            "bob (support) queries: no rule allows it, so it is denied",
            (program, *bob_query),
            mcp_curl(places, "bob", "tools/call", {"name": "query", "arguments": {"sql": "SELECT 1"}}),
            all_of(ends(1), hides(('"rows"',))),
            all_of(ends(0), shows('"isError":true', ignore_spaces=True), hides(('"rows"',))),
        ),
    )


def listing(places: Places, program: str) -> Step:
    """Carol lists sessions."""
    return Step(
        "carol (auditors) lists the recorded sessions",
        (program, "sessions", "--limit", "8", *as_person("carol", places)),
        grpc_curl(places, "ListSessions", b""),
        all_of(ends(0), shows("alice", "bob", "orders")),
        all_of(ends(0), shows("alice", "bob", "orders")),
    )


def replay(places: Places, program: str, session_id: str) -> Step:
    """Carol replays one session of alice."""
    raw = _raw_values(database_path(places.state))
    seen = ("alice", "query", "export_table", "no exports", "get_customer", "support agrees")
    asked = session_pb2.ReplaySessionRequest(session_id=session_id, follow=True).SerializeToString()
    return Step(
        f"carol replays alice's session to its end (it is sealed {SEAL_AFTER_S} s after her last call): who, what, by "
        "which rule, who agreed, and never a raw value",
        (program, "replay", session_id, "--follow", *as_person("carol", places)),
        grpc_curl(places, "ReplaySession", asked),
        all_of(ends(0), shows(*seen, "approved by bob", "sealed"), hides(raw)),
        all_of(ends(0), shows(*seen, "bob"), hides(raw)),
    )


def token_curl(places: Places, person: str, audience: str) -> str:
    """The command that gets a person's token from the issuer."""
    return (
        f"curl -s {places.issuer}/token -d grant_type=client_credentials -d client_id={person} "
        f"-d client_secret=demo -d resource={audience}"
    )


def mcp_curl(places: Places, person: str, method: str, params: dict[str, object], *more: str) -> str:
    """One MCP request of the 2026-07-28 era, which needs no session, as a curl command; ``more`` are headers."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = [
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "mcp-protocol-version: 2026-07-28",
        f"mcp-method: {method}",
        *more,
    ]
    if "name" in params:
        headers.append(f"mcp-name: {params['name']}")
    lines = [f"curl -s {places.governed}", _curl_token(places, person)]
    lines += [f"-H {shlex.quote(header)}" for header in headers]
    return " \\\n  ".join([*lines, f"-d {shlex.quote(json.dumps(body))}"])


def grpc_curl(places: Places, method: str, message: bytes, *, person: str = "carol", service: str = _SESSIONS) -> str:
    """One gRPC call as a curl command: a length-prefixed protobuf message over HTTP/2; `strings` shows the text."""
    framed = b"\0" + len(message).to_bytes(4, "big") + message
    octal = "".join(chr(byte) if chr(byte).isalnum() or byte == ord("-") else f"\\{byte:03o}" for byte in framed)
    return (
        f"printf '{octal}' | curl -s --http2-prior-knowledge {_curl_token(places, person)} \\\n"
        f"  -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- \\\n"
        f"  {places.gateway}/{service}/{method} --output - | strings -n 3"
    )


def _curl_token(places: Places, person: str) -> str:
    return f'-H "authorization: Bearer $(cat {shlex.quote(str(places.token_file(person)))})"'


def as_person(person: str, places: Places) -> tuple[str, ...]:
    """The options by which a command reaches the gateway with a person's token."""
    return "--gateway", places.gateway, "--token-file", str(places.token_file(person))


def _raw_values(database: Path) -> tuple[str, ...]:
    """What the query finds in the target itself, and must not come through the gateway."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as shop:
        rows = shop.execute(SQL).fetchall()
    values = [value for _, _, email, ssn, card, _ in rows for value in (email, ssn, card)]
    found = [match for *_, text in rows for match in _CREDENTIAL.findall(text)]
    if not found:
        raise AssertionError("the demo's notes should hold credentials in the rows that alice reads")
    return (*values, *found)


def customer_values(database: Path, customers: Iterable[int]) -> tuple[str, ...]:
    """What the target itself says of these customers, and must not come through the gateway."""
    wanted = tuple(customers)
    sql = "SELECT c.email, c.ssn, k.card FROM customers c JOIN cards k ON k.customer_id = c.id WHERE c.id = ?"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as shop:
        rows = [shop.execute(sql, (customer,)).fetchone() for customer in wanted]
    return tuple(value for row in rows for value in row)


def ends(code: int) -> Check:
    """The command ends with that exit code."""
    return lambda outcome: None if outcome.code == code else f"it ended with {outcome.code}, not {code}"


def shows(*wanted: str, ignore_spaces: bool = False) -> Check:
    """All of these stand in what it printed."""

    def form(text: str) -> str:
        return re.sub(r"\s+", "", text) if ignore_spaces else text

    def check(outcome: Outcome) -> str | None:
        missing = [text for text in wanted if form(text) not in form(outcome.text)]
        return f"it does not show {', '.join(missing)}" if missing else None

    return check


def hides(unwanted: Iterable[str]) -> Check:
    """None of these stands in what it printed; the answer counts them and does not repeat them."""
    kept = tuple(unwanted)

    def check(outcome: Outcome) -> str | None:
        count = sum(text in outcome.text for text in kept)
        return f"it shows {count} values that it must not" if count else None

    return check


def all_of(*checks: Check) -> Check:
    """The first of the checks that fails."""

    def check(outcome: Outcome) -> str | None:
        return next((problem for one in checks if (problem := one(outcome)) is not None), None)

    return check
