"""The detector of credentials: everything that finds them, run one after the other."""

from __future__ import annotations

from pathlib import Path

from countersign.masking.detectors.base import Hit
from countersign.masking.detectors.secrets import assignments, catalogue, formats, headers, nearby, private_keys, urls


class Secrets:
    """Detects credentials."""

    label = "SECRET"

    def __init__(self, scanner: catalogue.NativeScanner) -> None:
        self._scanner = scanner

    @classmethod
    def load(cls, cache_dir: Path | None) -> Secrets:
        """Load the catalogue: half a second from ``cache_dir``, five when it is compiled anew."""
        return cls(catalogue.load(cache_dir))

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`. Raises :class:`OddFindingError` when the scanner's offsets are not to be trusted."""
        hits = catalogue.find(self._scanner, data)
        # To look for a word is a hundred times cheaper than to start a pattern that needs it.
        lower = data.lower()
        hits += private_keys.find(data)
        hits += formats.find(data)
        hits += urls.find(data, lower)
        hits += headers.find(data, lower)
        hits += assignments.find(data, lower)
        hits += nearby.find(data, lower)
        return hits
