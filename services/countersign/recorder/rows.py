"""How rows of the record are laid out for Postgres: COPY's binary format for many, values for few.

Written by hand: at thousands of rows a second, adapting each value by its type would take most of the time.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from countersign.recorder.bodies import Shelved
from countersign.recorder.plan import Row

EVENT_COLUMNS = (
    b"(index, sequence, time_us, recorded_at, event_id, session_id, call_id, shelf, kind, outcome,"
    b" target, method, name, record)"
)
BODY_COLUMNS = b"(index, shelf, size, form, content)"

# PostgreSQL's documentation, COPY, binary format: signature, flags, length of the header's extension; at the end, -1.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# Its timestamps count from 2000.
_POSTGRES_EPOCH_US = 946_684_800_000_000

# The number of columns; then, of each, its length in bytes and the value; a length of -1 is NULL.
_EVENT = struct.Struct(">hiqiqiqiqi16si16si16s")
_SHELF_AND_KINDS = struct.Struct(">iiihih")
_NO_SHELF_AND_KINDS = struct.Struct(">iihih")
_BODY = struct.Struct(">hiqiiiiihi")
_LENGTH = struct.Struct(">i")
_INT8, _INT4, _INT2 = struct.Struct(">q"), struct.Struct(">i"), struct.Struct(">h")


def copied_events(rows: Sequence[Row], shelves: Sequence[int | None], now_us: int) -> bytes:
    """Return the events of ``rows``, in ``EVENT_COLUMNS``; ``now_us`` is when they are recorded."""
    at = now_us - _POSTGRES_EPOCH_US
    parts = [_HEADER]
    add, length = parts.append, _LENGTH.pack
    for row, shelf in zip(rows, shelves, strict=True):
        one = row.entry
        ids = (16, one.event_key, 16, one.session_key, 16, one.call_key)
        add(_EVENT.pack(14, 8, row.index, 8, row.sequence, 8, one.time_us, 8, at, *ids))
        if shelf is None:
            add(_NO_SHELF_AND_KINDS.pack(-1, 2, one.kind, 2, one.outcome))
        else:
            add(_SHELF_AND_KINDS.pack(4, shelf, 2, one.kind, 2, one.outcome))
        for text in (one.target, one.method, one.name, one.record):
            encoded = text.encode()
            add(length(len(encoded)))
            add(encoded)
    add(_TRAILER)
    return b"".join(parts)


def copied_bodies(placed: Sequence[tuple[int, int, Shelved]]) -> bytes:
    """Return bodies with their event's index and their shelf, in ``BODY_COLUMNS``."""
    parts = [_HEADER]
    for index, shelf, kept in placed:
        parts.append(_BODY.pack(5, 8, index, 4, shelf, 4, kept.size_bytes, 2, kept.form, len(kept.content)))
        parts.append(kept.content)
    parts.append(_TRAILER)
    return b"".join(parts)


def event_values(row: Row, shelf: int | None, now_us: int) -> tuple[bytes | None, ...]:
    """Return the values of ``EVENT_COLUMNS`` in binary format; ``now_us`` is when they are recorded."""
    one = row.entry
    return (
        *(number(row.index), number(row.sequence), number(one.time_us), timestamp(now_us)),
        *(one.event_key, one.session_key, one.call_key, None if shelf is None else _INT4.pack(shelf)),
        *(_INT2.pack(one.kind), _INT2.pack(one.outcome)),
        *(one.target.encode(), one.method.encode(), one.name.encode(), one.record.encode()),
    )


def body_values(index: int, shelf: int, kept: Shelved) -> tuple[bytes, ...]:
    """Return the values of ``BODY_COLUMNS`` in binary format."""
    sizes = (number(index), _INT4.pack(shelf), _INT4.pack(kept.size_bytes), _INT2.pack(kept.form))
    return (*sizes, kept.content)


def number(value: int) -> bytes:
    """Return a bigint in binary format."""
    return _INT8.pack(value)


def timestamp(time_us: int) -> bytes:
    """Return a timestamp in binary format, given in microseconds since 1970."""
    return _INT8.pack(time_us - _POSTGRES_EPOCH_US)


def ids(keys: Sequence[bytes]) -> str:
    """Return an array of UUIDs as Postgres reads it."""
    return "{" + ",".join([key.hex() for key in keys]) + "}"


def numbers(values: Sequence[int]) -> str:
    """Return an array of integers as Postgres reads it."""
    return "{" + ",".join(map(str, values)) + "}"


def texts(values: Sequence[str]) -> str:
    """Return an array of texts as Postgres reads it."""
    quoted = [value.replace("\\", r"\\").replace('"', r"\"") for value in values]
    return "{" + ",".join([f'"{value}"' for value in quoted]) + "}"
