"""Detectors of what has no form to know it by: the names of keys and columns beside the values must tell."""

from __future__ import annotations

from countersign.masking import personal_keys
from countersign.masking.detectors.base import Hit


class KeyDetector:
    """Finds nothing in a text: the values under keys that :func:`personal_keys.classify` knows are covered whole."""

    # No UTF-8 has such a byte: no text opens it.
    gate = (r"\xff",)

    def __init__(self, label: str) -> None:
        self.label = label

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return []


KEY_DETECTORS = {
    "address_by_key": KeyDetector(personal_keys.ADDRESS),
    "birth_date_by_key": KeyDetector(personal_keys.BIRTH_DATE),
    "person_by_key": KeyDetector(personal_keys.PERSON),
    "phone_by_key": KeyDetector(personal_keys.PHONE),
}
"""By the names that gateway.yaml uses."""
