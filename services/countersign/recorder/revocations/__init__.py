"""What operators and issuers take back: kept, told to every replica, and to the record."""

from countersign.recorder.revocations.part import RevocationRoom

__all__ = ["RevocationRoom"]
