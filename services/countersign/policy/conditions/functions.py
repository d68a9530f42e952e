"""The functions that conditions may call. Pure; what they raise carries no text of the call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from google.protobuf.message import Message

import countersign.statements as rooms_of_statements
from countersign.policy.conditions.memory import Memory
from countersign.statements import StatementClass, Verdict

DIALECTS = (
    *("postgres", "mysql", "tsql", "sqlite", "bigquery", "snowflake"),
    *("postgresql", "mariadb", "mssql", "sqlserver"),
)
"""The dialects of ``sql``, and the other names of some."""
REMEMBERED = 1_024
"""How many verdicts on statements are remembered between calls."""
REMEMBERED_NAMES = 1 << 20
"""Code points of relations' names that all remembered verdicts together may hold."""

_LARGEST = 2**63 - 1


class FunctionFailed(ValueError):
    """A function cannot answer; the message is in general terms."""


class Functions:
    """What CEL calls for the functions of the vocabulary; ``statement`` is the message class of their results.

    Verdicts are remembered by the digest of the text, so that many rules that ask about the same text parse it once,
    and no text is kept but the latest.
    """

    def __init__(self, statement: Callable[..., Message]) -> None:
        self._statement = statement
        self._verdicts: Memory[bytes, Message] = Memory(entries=REMEMBERED, weight=REMEMBERED_NAMES)
        # Replaced as a whole, so that threads see one question with its own answer.
        self._latest: tuple[tuple[str, ...], Message] = ((), statement())

    def by_name(self, name: str) -> Callable[..., Any]:
        """Return the function of this name in the vocabulary."""
        functions: dict[str, Callable[..., Any]] = {
            "sql": lambda text, dialect: self._judge("classify_sql", text, dialect),
            "shell": lambda text: self._judge("classify_shell", text),
            "mongo": lambda text: self._judge("classify_mongo", text),
            "redis": lambda text: self._judge("classify_redis", text),
            "in_network": in_network,
        }
        return functions[name]

    def _judge(self, classifier: str, text: str, *dialect: str) -> Message:
        asked, answer = self._latest
        if asked == (classifier, text, *dialect):
            return answer
        answer = self._remembered(classifier, text, *dialect)
        self._latest = (classifier, text, *dialect), answer
        return answer

    def _remembered(self, classifier: str, text: str, *dialect: str) -> Message:
        key = sha256("\0".join((classifier, *dialect, text)).encode()).digest()
        known = self._verdicts.get(key)
        if known is None:
            verdict = classify(classifier, text, *dialect)
            known = self._message(verdict)
            self._verdicts.put(key, known, weight=sum(map(len, verdict.relations)))
        return known

    def _message(self, verdict: Verdict) -> Message:
        bound = verdict.row_bound
        return self._statement(
            classes=sorted(verdict.classes),
            reads=sorted(verdict.reads),
            writes=sorted(verdict.writes),
            relations=sorted(verdict.relations),
            row_bound=-1 if bound is None else min(bound, _LARGEST),
            bounded=bound is not None,
            only_reads=verdict.only_reads,
            unparsable=StatementClass.UNPARSABLE in verdict.classes,
        )


def classify(classifier: str, text: str, *dialect: str) -> Verdict:
    """Ask the room of statements; raises :class:`FunctionFailed` for a dialect that is not known."""
    if not all(name in DIALECTS for name in dialect):
        raise FunctionFailed("the dialect is not known")
    failed: FunctionFailed
    try:
        verdict: Verdict = getattr(rooms_of_statements, classifier)(text, *dialect)
    except Exception:  # whatever goes wrong there, nothing of the text may leave in an error
        failed = FunctionFailed("the statement could not be classified")
    else:
        return verdict
    # Raised out here so that no exception that may quote the text rides along as the context.
    raise failed


def in_network(address: str, cidr: str) -> bool:
    """Whether an IP address is in a network; an IPv4 address written in IPv6 is that IPv4 address.

    Raises :class:`FunctionFailed` when either is not what it should be.
    """
    known, network = _address(address), _network(cidr)
    if known is None or network is None:
        raise FunctionFailed("the address or the network is none")
    return known.version == network.version and known in network


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or address


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
