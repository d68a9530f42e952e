"""What can keep a witness from its work."""

from __future__ import annotations


class WitnessError(RuntimeError):
    """Base of what this room raises; the message says what is wrong and what to do, and never holds a key."""


class Misconfigured(WitnessError):
    """The key or the list of logs cannot be used."""


class StateUnusable(WitnessError):
    """What was cosigned cannot be read or written: nothing is cosigned."""
