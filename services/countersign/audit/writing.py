"""Writes the export of a session: the one place that knows its format, beside ``exports`` which reads it.

Lines of canonical JSON, each with its newline:

1. ``{"countersign_export":1,"origin":..,"session_id":..}``, with ``"unsealed":true`` where the last event is no seal;
2. an event each, in order: ``{"body":b64,"hashes":[b64..],"index":n,"leaf":"...","salt":b64}``, where ``hashes`` is the
   inclusion proof (RFC 6962, 2.1.1) in the checkpoint's tree, and ``body`` and ``salt`` are left out where the event
   has no body, or it was erased or is not shown;
3. ``{"checkpoint":"<signed note>"}``;
4. ``{"sha256":"<hex>"}``: of all bytes before this line.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from countersign.audit.canonical import encode
from countersign.tlog import to_base64

VERSION: Final = 1
EXPORT_BEGINS: Final = b'{"countersign_export":'
"""The first bytes of every export."""


class ExportWriter:
    """Makes the pieces of an export, in the order ``begin``, ``event`` (any number of times), ``end``.

    What it is given is not checked: who reads it does that. Nothing but a digest is kept between the calls.
    """

    def __init__(self) -> None:
        self._digest = sha256()

    def begin(self, *, origin: str, session_id: str, unsealed: bool = False) -> bytes:
        """Return the first line. ``unsealed``: the last event will not be a seal."""
        first: dict[str, object] = {"countersign_export": VERSION, "origin": origin, "session_id": session_id}
        return self._line(first | ({"unsealed": True} if unsealed else {}))

    def event(
        self, *, index: int, leaf: str, hashes: Sequence[bytes], salt: bytes | None = None, body: bytes | None = None
    ) -> bytes:
        """Return the line of one event: its leaf, verbatim, and the proof that it is in the checkpoint's tree.

        A body goes with its salt; without one only where its leaf has no commitment (old records). An empty body is
        none.
        """
        shown = {"body": to_base64(body)} if body else {}
        if salt is not None and body:
            shown["salt"] = to_base64(salt)
        return self._line({"hashes": [to_base64(one) for one in hashes], "index": index, "leaf": leaf} | shown)

    def end(self, checkpoint: str) -> bytes:
        """Return the last two lines: the checkpoint (a signed note) that all proofs lead to, and the digest."""
        line = self._line({"checkpoint": checkpoint})
        return line + f"{encode({'sha256': self._digest.hexdigest()})}\n".encode()

    def _line(self, value: object) -> bytes:
        line = f"{encode(value)}\n".encode()
        self._digest.update(line)
        return line
