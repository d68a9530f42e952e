"""Who a log is: its name, the keys that sign for it, and where it is remembered what they signed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from countersign.recorder.log.errors import BadLogKeys
from countersign.tlog import BadKey, KeyKind, SignerKey, VerifierKey, parse_signer

MOST_KEYS = 8


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """All of ``signers`` sign every checkpoint; they have one name, the log's origin. ``state`` is a file's path."""

    signers: tuple[SignerKey, ...]
    state: Path

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.signers[0].name

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """What checkpoints of this log are checked with."""
        return tuple([signer.verifier for signer in self.signers])


def log_identity(keys: str, state: Path) -> LogIdentity:
    """Read signer keys (c2sp.org/signed-note), one a line; empty lines and those that begin with # are passed over.

    Raises ``BadLogKeys``.
    """
    lines = [(number, line.strip()) for number, line in enumerate(keys.splitlines(), 1)]
    signers: list[SignerKey] = []
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        try:
            signers.append(parse_signer(line))
        except BadKey as error:
            raise BadLogKeys(f"line {number} is not a signing key: {error}") from None
    if not signers:
        raise BadLogKeys("there is no key in it")
    if len(signers) > MOST_KEYS:
        raise BadLogKeys(f"there are more than {MOST_KEYS} keys in it")
    if any(signer.verifier.kind is not KeyKind.NOTE for signer in signers):
        raise BadLogKeys("a witness's key cannot sign for a log")
    if names := sorted({signer.name for signer in signers} - {signers[0].name}):
        raise BadLogKeys(f"keys of one log have one name, and these have two: {signers[0].name} and {names[0]}")
    if len({signer.verifier for signer in signers}) < len(signers):
        raise BadLogKeys("a key is in it twice")
    return LogIdentity(tuple(signers), state)
