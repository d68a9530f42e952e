"""The detector of credentials: everything that finds them, one after the other."""

from __future__ import annotations

from pathlib import Path

from countersign.catalogue import NativeScanner, load
from countersign.masking.detectors.base import Detector, Hit
from countersign.masking.detectors.secrets import (
    assignments,
    blocks,
    catalogue,
    commands,
    encoded,
    formats,
    headers,
    markup,
    nearby,
    private_keys,
    said,
    settings,
    urls,
)
from countersign.masking.detectors.secrets.part import LABEL, Part


class Secrets:
    """Detects credentials. Its parts may be asked in its place, each only for texts that open its gate."""

    label = LABEL

    def __init__(self, scanner: NativeScanner) -> None:
        self._plain: tuple[Detector, ...] = (
            Part(lambda data: catalogue.find(scanner, data), gate=()),
            private_keys.PART,
            private_keys.JWK_PART,
            formats.PART,
            formats.STRUCTURED_PART,
            urls.PART,
            headers.PART,
            commands.PART,
            commands.COMMANDS_PART,
            assignments.PART,
            said.PART,
            settings.PART,
            markup.PART,
            blocks.PART,
            nearby.PART,
        )
        self.parts: tuple[Detector, ...] = (
            *self._plain,
            Part(self._find_encoded, encoded.GATE),
        )

    @classmethod
    def load(cls, cache_dir: Path | None) -> Secrets:
        """Load the catalogue: half a second from ``cache_dir``, five when it is compiled anew."""
        return cls(load(cache_dir))

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`. Raises :class:`OddFindingError` when the scanner's offsets are not to be trusted."""
        return [hit for part in self.parts for hit in part.find(data)]

    def _find_encoded(self, data: bytes) -> list[Hit]:
        """Base64 that holds credentials."""
        decoded = encoded.Decoded(data)
        hits = self._find_plain(decoded.text) if decoded.text else []
        return [Hit(*run, "Base64 of credentials") for run in decoded.runs_of((hit.start, hit.end) for hit in hits)]

    def _find_plain(self, data: bytes) -> list[Hit]:
        return [hit for part in self._plain for hit in part.find(data)]
