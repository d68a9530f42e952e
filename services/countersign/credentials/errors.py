"""What goes wrong here."""

from __future__ import annotations


class CredentialUnavailable(Exception):
    """What a target is to be shown cannot be had now, so the call must not be sent. The message is safe to record."""
