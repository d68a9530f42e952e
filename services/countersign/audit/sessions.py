"""What becomes of the sessions of a log, as its leaves come by."""

from __future__ import annotations

from countersign.audit.errors import Malformed
from countersign.audit.exports import check_seal
from countersign.audit.leaves import Leaf
from countersign.tlog import Frontier, split_hashes

_COUNT_BYTES = 8


class Sessions:
    """The sessions that are open and sealed: some 200 bytes for each that is open, 100 for each that is sealed."""

    def __init__(self) -> None:
        self._open: dict[bytes, bytes] = {}
        self._sealed: set[bytes] = set()

    @property
    def open_count(self) -> int:
        """How many have no seal yet."""
        return len(self._open)

    @property
    def sealed_count(self) -> int:
        """How many have one."""
        return len(self._sealed)

    def add(self, leaf: Leaf) -> None:
        """Take the next leaf of the log.

        Raises ``Malformed``: a seal is wrong, its session goes on after it, or goes on from one that has none.
        """
        key = _key(leaf.session_id)
        if key in self._sealed:
            raise Malformed(f"session {leaf.session_id} goes on after its seal")
        if leaf.continues and _key(leaf.continues) not in self._sealed:
            raise Malformed(f"session {leaf.session_id} goes on from {leaf.continues}, which is not sealed")
        packed = self._open.get(key, bytes(_COUNT_BYTES))
        session = Frontier(int.from_bytes(packed[:_COUNT_BYTES], "big"), split_hashes(packed[_COUNT_BYTES:]))
        if leaf.seal is not None:
            check_seal(leaf.seal, leaf, session)
            self._open.pop(key, None)
            self._sealed.add(key)
            return
        session.append(leaf.hash)
        # Packed: there may be very many, and most never come up again.
        self._open[key] = session.size.to_bytes(_COUNT_BYTES, "big") + b"".join(session.hashes)


def _key(session_id: str) -> bytes:
    return bytes.fromhex(session_id.replace("-", ""))
