"""The detectors by name. To add one: a module with a class that is a ``Detector``, and its line in ``_MAKERS``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from countersign.masking.detectors.base import Detector, Hit
from countersign.masking.detectors.credit_card import CreditCard
from countersign.masking.detectors.email import Email
from countersign.masking.detectors.secrets import Secrets
from countersign.masking.detectors.us_ssn import UsSsn

_MAKERS: dict[str, Callable[[Path | None], Detector]] = {
    "secrets": lambda cache_dir: Secrets.load(cache_dir),
    "email": lambda _: Email(),
    "credit_card": lambda _: CreditCard(),
    "us_ssn": lambda _: UsSsn(),
}


def names() -> tuple[str, ...]:
    """List the names of all detectors."""
    return tuple(_MAKERS)


@cache
def make(name: str, cache_dir: Path | None) -> Detector:
    """Make a detector; ``cache_dir`` may hold what is slow to compile. Raises :class:`KeyError` for an unknown name.

    One for the whole process: a detector keeps no state between texts, and an edit of gateway.yaml must not load the
    catalogue of secrets again.
    """
    return _MAKERS[name](cache_dir)


__all__ = ["Detector", "Hit", "make", "names"]
