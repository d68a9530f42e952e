"""Credentials of every kind: a kept-up catalogue of providers' formats, and our own readings of what stands around."""

from countersign.masking.detectors.secrets.catalogue import OddFindingError
from countersign.masking.detectors.secrets.detector import Secrets

__all__ = ["OddFindingError", "Secrets"]
