"""Whether an id comes twice, for as many events as a log may have."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from countersign.audit.errors import Invalid

_ID_BYTES: Final = 16
_ITEM_BYTES: Final = _ID_BYTES + 8


class Seen:
    """The ids of events and their indices: 24 bytes each, sorted out when all are there."""

    def __init__(self) -> None:
        self._buckets: list[bytearray] = [bytearray() for _ in range(256)]

    def add(self, event_id: str, index: int) -> None:
        """Remember the id of an event, written as a UUID, and its index in the log."""
        key = bytes.fromhex(event_id.replace("-", ""))
        # The last byte of a UUID is as good as chance, whatever its version.
        self._buckets[key[-1]] += key + index.to_bytes(8, "big")

    def check(self) -> None:
        """Raise ``Invalid`` for an id that was added twice."""
        for bucket in self._buckets:
            if len({*_ids(bucket)}) * _ITEM_BYTES != len(bucket):
                self._name(bucket)

    def _name(self, bucket: bytearray) -> None:
        seen: set[bytes] = set()
        for at, key in enumerate(_ids(bucket)):
            if key in seen:
                begin = at * _ITEM_BYTES + _ID_BYTES
                index = int.from_bytes(bucket[begin : begin + 8], "big")
                raise Invalid("an event with this id was there already", index=index, event_id=str(UUID(bytes=key)))
            seen.add(key)


def _ids(bucket: bytearray) -> list[bytes]:
    return [bytes(bucket[at : at + _ID_BYTES]) for at in range(0, len(bucket), _ITEM_BYTES)]
