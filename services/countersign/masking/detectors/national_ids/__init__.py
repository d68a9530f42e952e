"""Identifiers that states give to people (and some that they give to firms, which may be one person's)."""

from countersign.masking.detectors.national_ids.americas import AMERICAS
from countersign.masking.detectors.national_ids.elsewhere import ELSEWHERE
from countersign.masking.detectors.national_ids.europe import EUROPE

NATIONAL_IDS = AMERICAS | ELSEWHERE | EUROPE
"""The detectors by the names that gateway.yaml uses."""

__all__ = ["NATIONAL_IDS"]
