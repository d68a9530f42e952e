"""United States social security numbers, by the structure that the SSA gives them since 2011."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern

_CANDIDATE = Pattern(r"[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}")


class UsSsn:
    """Detects numbers written ``AAA-GG-SSSS`` or with blanks; bare digits are too many other things."""

    label = "US_SSN"
    gate = (r"[0-9]{3}-[0-9]{2}-[0-9]{4}", r"[0-9]{3} [0-9]{2} [0-9]{4}")

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [
            Hit(start, end, "an assignable number in groups of 3, 2 and 4 digits")
            for start, end in _CANDIDATE.spans(data)
            if _is_assignable(data[start:end]) and not _is_part_of_more(data, start, end)
        ]


def _is_assignable(number: bytes) -> bool:
    area = number[:3]
    return area not in (b"000", b"666") and area[:1] != b"9" and number[4:6] != b"00" and number[7:] != b"0000"


def _is_part_of_more(data: bytes, start: int, end: int) -> bool:
    before, after = data[max(start - 2, 0) : start], data[end : end + 2]
    if before[-1:].isalnum() or after[:1].isalnum():
        return True
    # A dash joins digits to one number; a blank may as well stand between two.
    return (before[-1:] == b"-" and before[:1].isdigit()) or (after[:1] == b"-" and after[1:].isdigit())
