"""Whom an auditor trusts: logs, witnesses, and how many of them must have signed (c2sp.org/tlog-policy)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from countersign.tlog.checkpoints import Checkpoint, SignedCheckpoint, open_checkpoint
from countersign.tlog.encoding import parse_number
from countersign.tlog.errors import BadEncoding, BadKey, BadPolicy, NotTrusted, QuorumNotMet
from countersign.tlog.keys import KeyKind, VerifierKey, parse_verifier

MAX_POLICY_BYTES: Final = 1024 * 1024
MAX_ITEMS: Final = 1000
"""Lines of logs, witnesses and groups together."""
FUTURE_S: Final = 300
"""How far ahead of the verifier's clock a witness's may be."""

NO_QUORUM: Final = "none"


@dataclass(frozen=True, slots=True)
class Group:
    """Some of ``members`` (names of witnesses and groups): at least ``need`` of them must have witnessed."""

    need: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness of the policy that cosigned, and when (POSIX seconds)."""

    name: str
    key: VerifierKey
    time_s: int


@dataclass(frozen=True, slots=True)
class Trusted:
    """A checkpoint that satisfies a policy. Only ``TrustPolicy.open`` makes one."""

    signed: SignedCheckpoint
    log_keys: tuple[VerifierKey, ...]
    cosigned: tuple[Cosigned, ...]
    """The witnesses that count, the earliest first."""
    witnessed_s: int | None
    """When the quorum had seen it: the log was this large then. None where the policy asks for no quorum."""

    @property
    def checkpoint(self) -> Checkpoint:
        """What the log said."""
        return self.signed.checkpoint


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Trusted keys of logs, witnesses and groups by name, and the name of what must have witnessed (or "none")."""

    logs: tuple[VerifierKey, ...]
    witnesses: MappingProxyType[str, VerifierKey]
    groups: MappingProxyType[str, Group]
    quorum: str

    def open(self, content: str | bytes, *, now_s: int) -> Trusted:
        """Read a signed checkpoint and check that this policy trusts it.

        Raises ``BadNote``, ``BadCheckpoint``; ``NotTrusted``, ``BadSignature``, ``QuorumNotMet``. A cosignature that is
        more than five minutes later than ``now_s`` does not count.
        """
        if not self.logs:
            raise NotTrusted("the policy trusts no log")
        signed = open_checkpoint(content, self.logs, self.witnesses.values())
        times = {one.key: one.time_s for one in signed.signed if one.time_s is not None}
        cosigned = [Cosigned(name, key, times[key]) for name, key in self.witnesses.items() if key in times]
        counting = sorted([one for one in cosigned if one.time_s <= now_s + FUTURE_S], key=lambda one: one.time_s)
        logs = tuple([one.key for one in signed.signed if one.key.kind is KeyKind.NOTE])
        return Trusted(signed, logs, tuple(counting), self._witnessed_s(counting, of_all=len(cosigned)))

    def _witnessed_s(self, cosigned: list[Cosigned], *, of_all: int) -> int | None:
        """Return when the quorum was met. Raises ``QuorumNotMet``."""
        if self.quorum == NO_QUORUM:
            return None
        for count, one in enumerate(cosigned, 1):
            if self._is_met({each.name for each in cosigned[:count]}):
                return one.time_s
        had = ", ".join([one.name for one in cosigned]) or "no known witness"
        late = "" if len(cosigned) == of_all else "; others did at a time that is still to come: is your clock right?"
        raise QuorumNotMet(f"the policy asks for {self.quorum}; {had} cosigned this checkpoint{late}")

    def _is_met(self, met: set[str]) -> bool:
        # Groups stand after what they are made of: once through them is enough.
        for name, group in self.groups.items():
            if len(met.intersection(group.members)) >= group.need:
                met.add(name)
        return self.quorum in met


def parse_policy(content: str | bytes) -> TrustPolicy:
    """Read a policy file. Raises ``BadPolicy``, which names the line."""
    if len(content) > MAX_POLICY_BYTES:
        raise BadPolicy(f"the policy is longer than {MAX_POLICY_BYTES} bytes")
    # Octets that are not ASCII are opaque: each stays itself.
    text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
    if text and not text.endswith("\n"):
        raise BadPolicy("the last line of the policy does not end: is the file cut?")
    reader = _Reader()
    for at, line in enumerate(text.split("\n"), 1):
        if any(char < " " and char != "\t" for char in line) or "\x7f" in line:
            raise BadPolicy(f"line {at}: control characters")
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            try:
                reader.read(words)
            except (BadPolicy, BadKey) as problem:
                raise BadPolicy(f"line {at}: {problem}") from None
    return reader.policy()


def write_policy(policy: TrustPolicy) -> str:
    """Write a policy file: logs, witnesses, groups, the quorum."""
    lines = [f"log {key}" for key in policy.logs]
    lines += [f"witness {name} {key}" for name, key in policy.witnesses.items()]
    lines += [f"group {name} {group.need} {' '.join(group.members)}" for name, group in policy.groups.items()]
    return "\n".join([*lines, f"quorum {policy.quorum}", ""])


class _Reader:
    """A policy as far as it was read."""

    def __init__(self) -> None:
        self._logs: list[VerifierKey] = []
        self._witnesses: dict[str, VerifierKey] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum = ""
        self._lines: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._set_quorum,
        }

    def read(self, words: list[str]) -> None:
        if words[0] not in self._lines:
            raise BadPolicy("a line begins with log, witness, group or quorum")
        if len(self._logs) + len(self._witnesses) + len(self._groups) >= MAX_ITEMS:
            raise BadPolicy(f"more than {MAX_ITEMS} logs, witnesses and groups")
        self._lines[words[0]](words[1:])

    def policy(self) -> TrustPolicy:
        if not self._quorum:
            raise BadPolicy('the policy has no quorum line ("quorum none" asks for no witness)')
        return TrustPolicy(
            tuple(self._logs), MappingProxyType(self._witnesses), MappingProxyType(self._groups), self._quorum
        )

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise BadPolicy("a log is written: log <verifier key> [<url>]")
        self._logs.append(self._key(words[0], KeyKind.NOTE, self._logs))

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise BadPolicy("a witness is written: witness <name> <verifier key> [<url>]")
        key = self._key(words[1], KeyKind.COSIGNATURE, list(self._witnesses.values()))
        self._witnesses[self._new(words[0])] = key

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise BadPolicy("a group is written: group <name> all|any|<count> <member>...")
        name, members = self._new(words[0]), tuple(words[2:])
        for member in members:
            if member not in self._witnesses and member not in self._groups:
                raise BadPolicy("a member of the group is not defined on a line before")
            if member in self._members:
                raise BadPolicy("a name is a member twice")
            self._members.add(member)
        self._groups[name] = Group(_need(words[1], len(members)), members)

    def _set_quorum(self, words: list[str]) -> None:
        if self._quorum:
            raise BadPolicy("there is a quorum already")
        if len(words) != 1:
            raise BadPolicy("a quorum is written: quorum <name>")
        if words[0] != NO_QUORUM and words[0] not in self._witnesses and words[0] not in self._groups:
            raise BadPolicy("the quorum is not defined on a line before")
        self._quorum = words[0]

    def _new(self, name: str) -> str:
        if name == NO_QUORUM or name in self._witnesses or name in self._groups:
            raise BadPolicy("the name is taken")
        return name

    @staticmethod
    def _key(text: str, kind: KeyKind, others: list[VerifierKey]) -> VerifierKey:
        key = parse_verifier(text)
        if key.kind is not kind:
            raise BadPolicy("a log's key signs notes (kind 1), a witness's cosigns (kind 4): this is of the other kind")
        if any(other.public == key.public for other in others):
            raise BadPolicy("this public key is there already")
        return key


def _need(word: str, members: int) -> int:
    if word in ("any", "all"):
        return 1 if word == "any" else members
    try:
        need = parse_number(word)
    except BadEncoding:
        need = 0
    if not 1 <= need <= members:
        raise BadPolicy("a group needs all, any, or a count from 1 to the number of its members")
    return need
