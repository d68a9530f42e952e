"""Credentials of every kind: a kept-up catalogue of providers' formats, and our own readings of what stands around."""

from countersign.masking.detectors.secrets.catalogue import NativeFinding, NativeScanner, OddFindingError, load_ahead
from countersign.masking.detectors.secrets.detector import Secrets

__all__ = ["NativeFinding", "NativeScanner", "OddFindingError", "Secrets", "load_ahead"]
