"""Checks exports of the record and dumps of the log offline, against keys that the auditor trusts. Pure.

- ``ExportWriter`` makes the pieces of a session's export: for the recorder, and only here.
"""

from countersign.audit.errors import Invalid, Malformed
from countersign.audit.leaves import Leaf, Seal, commitment_of, read_leaf, seal_event_id
from countersign.audit.writing import ExportWriter

__all__ = [
    "ExportWriter",
    "Invalid",
    "Leaf",
    "Malformed",
    "Seal",
    "commitment_of",
    "read_leaf",
    "seal_event_id",
]
