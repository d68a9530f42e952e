"""Demo only: what the orders server saw, one JSON object a line, so that anybody can check what reached a target."""

from __future__ import annotations

import hmac
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

_LOOKS_LIKE_A_TOKEN = re.compile(rb"(?i)bearer |\beyJ[\w-]+\.[\w-]+\.|\bbasic ")


def journal_path(state: Path) -> Path:
    """Where the journal is kept."""
    return state / "orders-journal.jsonl"


class Credential(StrEnum):
    """What a request brought along: the server's own credential, somebody else's, or none."""

    OWN = "own"
    FOREIGN = "foreign"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``kind`` is ``request`` (HTTP) or ``call`` (executed); credentials are never kept.

    ``credential`` is what stood in ``Authorization``; ``foreign_elsewhere`` whether another header held a token.
    """

    kind: str
    name: str = ""
    arguments: Mapping[str, object] | None = None
    verb: str = ""
    status: int = 0
    credential: Credential = Credential.NONE
    foreign_elsewhere: bool = False
    traceparent: str = ""


class Journal:
    """Appends entries to a file; safe to use from several threads. Each is written before ``add`` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def inspect(headers: list[tuple[bytes, bytes]], own: str) -> tuple[Credential, bool]:
    """Say whose credential ``Authorization`` holds, and whether any other header holds what looks like a token."""
    authorization = [value for name, value in headers if name.lower() == b"authorization"]
    elsewhere = any(_LOOKS_LIKE_A_TOKEN.search(value) for name, value in headers if name.lower() != b"authorization")
    if not authorization:
        return Credential.NONE, elsewhere
    expected = f"Bearer {own}".encode()
    own_only = len(authorization) == 1 and hmac.compare_digest(authorization[0], expected)
    return Credential.OWN if own_only else Credential.FOREIGN, elsewhere
