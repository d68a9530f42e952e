"""The functions that conditions may call. Pure; what they raise carries no text of the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from google.protobuf.message import Message

from countersign import statements
from countersign.policy.conditions.memory import Memory
from countersign.statements import StatementClass, Verdict

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
            "sql": lambda text, dialect: self._judge("sql", text, dialect),
            "shell": lambda text: self._judge("shell", text),
            "mongo": lambda text: self._judge("mongo", text),
            "redis": lambda text: self._judge("redis", text),
            "in_network": in_network,
        }
        return functions[name]

    def relations(self, text: str, language: str) -> tuple[str, ...]:
        """Return what ``text`` reads or writes; ``language`` is as in ``Condition.statements``. None where it fails."""
        asked = ("shell", text) if language == "shell" else ("sql", text, language)
        try:
            names: Iterable[str] = getattr(self._judge(*asked), "relations", ())
        except FunctionFailed:
            return ()
        return tuple(names)

    def _judge(self, language: str, text: str, *dialect: str) -> Message:
        asked, answer = self._latest
        if asked == (language, text, *dialect):
            return answer
        answer = self._remembered(language, text, *dialect)
        self._latest = (language, text, *dialect), answer
        return answer

    def _remembered(self, language: str, text: str, *dialect: str) -> Message:
        key = sha256("\0".join((language, *dialect, text)).encode()).digest()
        known = self._verdicts.get(key)
        if known is None:
            verdict = classify(language, text, *dialect)
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


def classify(language: str, text: str, *dialect: str) -> Verdict:
    """Ask the room of statements; raises :class:`FunctionFailed` for a dialect that is not known."""
    classifiers: dict[str, Callable[..., Verdict]] = {
        "sql": statements.classify_sql,
        "shell": statements.classify_shell,
        "mongo": statements.classify_mongo,
        "redis": statements.classify_redis,
    }
    failed: FunctionFailed
    try:
        return classifiers[language](text, *dialect)
    except ValueError:
        failed = FunctionFailed("the dialect is not known")
    except Exception:  # whatever goes wrong there, nothing of the text may leave in an error
        failed = FunctionFailed("the statement could not be classified")
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
