"""The detector of credentials: everything that finds them, one after the other."""

from __future__ import annotations

from pathlib import Path

from countersign.masking.detectors.base import Detector, Hit
from countersign.masking.detectors.secrets import (
    assignments,
    blocks,
    catalogue,
    formats,
    headers,
    markup,
    nearby,
    private_keys,
    urls,
)
from countersign.masking.detectors.secrets.part import LABEL, Part


class Secrets:
    """Detects credentials. Its parts may be asked in its place, each only for texts that open its gate."""

    label = LABEL

    def __init__(self, scanner: catalogue.NativeScanner) -> None:
        self.parts: tuple[Detector, ...] = (
            Part(lambda data: catalogue.find(scanner, data), gate=()),
            private_keys.PART,
            formats.PART,
            formats.STRUCTURED_PART,
            urls.PART,
            headers.PART,
            assignments.PART,
            markup.PART,
            blocks.PART,
            nearby.PART,
        )

    @classmethod
    def load(cls, cache_dir: Path | None) -> Secrets:
        """Load the catalogue: half a second from ``cache_dir``, five when it is compiled anew."""
        return cls(catalogue.load(cache_dir))

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`. Raises :class:`OddFindingError` when the scanner's offsets are not to be trusted."""
        return [hit for part in self.parts for hit in part.find(data)]
