"""Checks exports of the record and dumps of the log offline, against keys that the auditor trusts. Pure.

- ``verify_export`` and ``verify_dump`` return what is proved, or raise ``Invalid``: the first thing that is wrong.
- ``ExportWriter`` makes the pieces of a session's export: for the recorder, and only here.
"""

from countersign.audit.dumps import DumpReport, Files, verify_dump
from countersign.audit.errors import Invalid, Malformed
from countersign.audit.exports import Bodies, SessionReport, checkpoint_of, verify_export
from countersign.audit.leaves import Leaf, Seal, commitment_of, read_leaf, seal_event_id
from countersign.audit.writing import EXPORT_BEGINS, ExportWriter

__all__ = [
    "EXPORT_BEGINS",
    "Bodies",
    "DumpReport",
    "ExportWriter",
    "Files",
    "Invalid",
    "Leaf",
    "Malformed",
    "Seal",
    "SessionReport",
    "checkpoint_of",
    "commitment_of",
    "read_leaf",
    "seal_event_id",
    "verify_dump",
    "verify_export",
]
