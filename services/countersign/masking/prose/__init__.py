"""Names in prose, found by a language model of spaCy: optional, and slow beside everything else here."""

from countersign.masking.prose.detector import NamesInProse
from countersign.masking.prose.model import ModelMissing, find_model, load_model

__all__ = ["ModelMissing", "NamesInProse", "find_model", "load_model"]
