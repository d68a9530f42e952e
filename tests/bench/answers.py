"""What the benchmark asks for and what comes back: one ``tools/call`` and its results of known size, raw and masked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.support.clients import MODERN, Rpc, call

SIZES_KB: tuple[int, ...] = (1, 10, 100)
CALL_ID = 1

_CITIES = ("Lisbon", "Tampere", "Graz", "Leeds", "Gdynia")
_NOTES = ("prefers delivery in the morning", "asked for a second invoice", "moved last spring", "returns often")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response body as the target sends it, and as a caller who is under the issue's masks must get it."""

    raw: bytes
    masked: bytes


def request(size_kb: int) -> Rpc:
    """The call for a result of about that size; the static target knows it by ``marker``."""
    return call("query", {"sql": f"SELECT id, name, city, note FROM customers {marker(size_kb)}"}, CALL_ID)


def marker(size_kb: int) -> str:
    """The piece of the request's body that names the size; none is a piece of another's request."""
    return f"WHERE kb = {size_kb};"


def headers_of(rpc: Rpc) -> dict[str, str]:
    """The request's headers in the modern era, without host, length and token."""
    return rpc.headers(MODERN)


def body_of(rpc: Rpc) -> bytes:
    """The request's body in the modern era."""
    return rpc.body(MODERN)


def answer(size_kb: int) -> Answer:
    """A result with rows, every fourth with an e-mail and every eighth with a card; ``raw`` has ``size_kb`` KiB, or
    one byte less."""
    size = size_kb * 1024
    count = 1
    while len(_body(count + 1, "", _raw)) <= size:
        count += 1
    padding = "." * ((size - len(_body(count, "", _raw))) // 2)
    return Answer(_body(count, padding, _raw), _body(count, padding, _masked))


Values = Callable[[int], Mapping[str, str]]


def _raw(row: int) -> Mapping[str, str]:
    return {"email": f"customer{row}@example.com", "card": "4111 1111" + " 1111 1111"}


def _masked(row: int) -> Mapping[str, str]:
    return {"email": "[EMAIL]", "card": "[CREDIT_CARD]"}


def _body(count: int, padding: str, values: Values) -> bytes:
    rows = [_row(number, values(number)) for number in range(count)]
    rows[-1]["note"] = f"{rows[-1]['note']}{padding}"
    # As the SDKs' servers answer: the rows as structure, and once more as text for clients that know none.
    result = {
        "content": [{"type": "text", "text": json.dumps(rows)}],
        "structuredContent": {"rows": rows},
        "isError": False,
        "resultType": "complete",
    }
    return json.dumps({"jsonrpc": "2.0", "id": CALL_ID, "result": result}).encode()


def _row(number: int, values: Mapping[str, str]) -> dict[str, object]:
    note = _NOTES[number % len(_NOTES)]
    if number % 4 == 0:
        note = f"write to {values['email']}, {note}"
    elif number % 8 == 2:
        note = f"paid with {values['card']}, {note}"
    return {"id": 1000 + number, "name": f"Customer {number}", "city": _CITIES[number % len(_CITIES)], "note": note}
