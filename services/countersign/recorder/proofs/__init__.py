"""Hands out what proves the record: checkpoints, proofs, exports of sessions, dumps of the whole log."""

from countersign.recorder.proofs.part import ProofRoom

__all__ = ["ProofRoom"]
