"""What can be wrong with what claims to be part of a log. Nothing else leaves this room for bad input."""

from __future__ import annotations


class TlogError(ValueError):
    """Something that was read is not what it claims to be; the message says what, for people."""


class BadEncoding(TlogError):
    """Base64, a number or a hash is not written the one way in which it may be written."""


class BadTile(TlogError):
    """A tile, its path or an entry bundle is malformed, or too short for what is asked of it."""


class BadProof(TlogError):
    """A proof does not prove what it is said to prove."""


class BadKey(TlogError):
    """A key is malformed; the message never holds a signer's key."""


class BadNote(TlogError):
    """A signed note is malformed."""


class BadCheckpoint(TlogError):
    """The text of a note is no checkpoint."""


class BadPolicy(TlogError):
    """A file of trusted keys is malformed; the message names the line."""


class NotTrusted(TlogError):
    """A note is well formed, and what signed it is not enough to believe it."""


class BadSignature(NotTrusted):
    """A signature that claims to be made by a known key was not made by it over this text."""


class QuorumNotMet(NotTrusted):
    """The log signed, and too few of the witnesses that the policy asks for did."""
