"""The detectors by name. To add one: a module with a class that is a ``Detector``, and its line in ``_MAKERS``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from countersign.masking.detectors import birth_date, vehicle_plate
from countersign.masking.detectors.base import Detector, Hit
from countersign.masking.detectors.by_key import KEY_DETECTORS
from countersign.masking.detectors.credit_card import CreditCard
from countersign.masking.detectors.crypto import CryptoAddress
from countersign.masking.detectors.documents import DOCUMENTS, Passport
from countersign.masking.detectors.email import Email
from countersign.masking.detectors.iban import Iban
from countersign.masking.detectors.national_ids import NATIONAL_IDS
from countersign.masking.detectors.network import IpAddress, MacAddress
from countersign.masking.detectors.phone import Phone
from countersign.masking.detectors.secrets import Secrets

_MADE: dict[str, Detector] = {**DOCUMENTS, **KEY_DETECTORS, **NATIONAL_IDS}
_MAKERS: dict[str, Callable[[Path | None], Detector]] = {
    "secrets": lambda cache_dir: Secrets.load(cache_dir),
    "birth_date": lambda _: birth_date.make(),
    "credit_card": lambda _: CreditCard(),
    "crypto": lambda _: CryptoAddress(),
    "email": lambda _: Email(),
    "iban": lambda _: Iban(),
    "ip": lambda _: IpAddress(),
    "mac": lambda _: MacAddress(),
    "passport": lambda _: Passport(),
    "phone": lambda _: Phone(),
    "vehicle_plate": lambda _: vehicle_plate.make(),
}


def names() -> tuple[str, ...]:
    """List the names of all detectors."""
    return (*_MAKERS, *_MADE)


@cache
def make(name: str, cache_dir: Path | None) -> Detector:
    """Make a detector; ``cache_dir`` may hold what is slow to compile. Raises :class:`KeyError` for an unknown name.

    One for the whole process: a detector keeps no state between texts, and an edit of gateway.yaml must not load the
    catalogue of secrets again.
    """
    return _MADE[name] if name in _MADE else _MAKERS[name](cache_dir)


__all__ = ["Detector", "Hit", "make", "names"]
