"""Why something of a target is not released."""

from __future__ import annotations


class Withheld(Exception):
    """An answer that must not reach the caller; ``str()`` says why and never quotes it."""
