"""Sessions end: their last event says how many there are, and the root over them."""

from countersign.recorder.seals.part import SealRoom

__all__ = ["SealRoom"]
