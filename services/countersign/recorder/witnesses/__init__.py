"""Asks the witnesses that gateway.yaml names to cosign the log's checkpoints."""

from countersign.recorder.witnesses.cosigning import Witnesses

__all__ = ["Witnesses"]
