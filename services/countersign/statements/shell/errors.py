"""What the reading of a shell script can end with."""

from __future__ import annotations


class UnreadError(ValueError):
    """A construct that is not read. The message quotes nothing of the text."""
