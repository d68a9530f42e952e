"""Detectors that gateway.yaml states itself: patterns in RE2's syntax, checks by name, words that must stand near."""

from countersign.masking.own.detector import OwnPattern, compile_own
from countersign.masking.own.errors import PatternRefused
from countersign.masking.own.trials import check_own
from countersign.masking.own.validators import is_valid

__all__ = ["OwnPattern", "PatternRefused", "check_own", "compile_own", "is_valid"]
