"""What can be wrong with a log. Messages are for operators: they hold names and sizes, no events."""

from __future__ import annotations


class LogStopped(Exception):
    """The log is not whole: nothing may be signed or recorded. The message says why, and what to do."""


class BadLogKeys(ValueError):
    """The log's keys cannot be used; the message says why, and never shows them."""


class StateUnusable(Exception):
    """The file that remembers what was signed cannot be read or written; the message says why, and what to do."""
