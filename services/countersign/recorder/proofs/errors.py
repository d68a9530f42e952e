"""Why something is not proved now. The messages are for whoever asked."""

from __future__ import annotations


class NotProved(Exception):
    """Base of what this room raises."""


class NotPublished(NotProved):
    """No checkpoint shows it yet; the message says when one will."""


class NotYetPublished(NotPublished):
    """It is recorded whole: the next checkpoint shows it."""


class NotThere(NotProved):
    """There is no such thing, or none that a checkpoint shows."""


class Incomplete(NotProved):
    """Something that must be there is not: the database was changed behind the recorder's back."""
