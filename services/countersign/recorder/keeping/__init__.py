"""How long bodies are kept: retention, holds, erasing. Leaves, and so all proofs, stay."""

from countersign.recorder.keeping.part import KeepingRoom
from countersign.recorder.keeping.ports import Retention

__all__ = ["KeepingRoom", "Retention"]
