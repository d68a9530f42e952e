"""Masking: bytes in, masked bytes and findings out. Pure; when in doubt, it refuses."""

from countersign.masking.blobs import Blobs
from countersign.masking.catalog import MaskCatalog
from countersign.masking.explaining import Explained, Located
from countersign.masking.masker import Masker
from countersign.masking.result import Masked, NotMaskable
from countersign.masking.sse import SseEvent, SseSplitter, check_other_lines, mask_event

__all__ = [
    "Blobs",
    "Explained",
    "Located",
    "MaskCatalog",
    "Masked",
    "Masker",
    "NotMaskable",
    "SseEvent",
    "SseSplitter",
    "check_other_lines",
    "mask_event",
]
