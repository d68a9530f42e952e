"""How long something takes, as people write it: 90s, 15m, 4h, 1d."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from countersign.config.document import Node
from countersign.config.problem import Problems

ONCE = "once"
FOREVER = "forever"

_WRITTEN = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])")
_DAYS = re.compile(r"([0-9]{1,6})d")
_MOST_DAYS = 36_500
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Bounds:
    """From ``least`` to ``most``, as they are written; ``whole`` takes no fractions of seconds."""

    least: str
    most: str
    whole: bool = True

    def read(self, text: str, node: Node, out: Problems) -> float:
        """The seconds that ``text`` states; to be used only if nothing was added to ``out``."""
        found = _seconds(text)
        least, most = _seconds(self.least), _seconds(self.most)
        assert least is not None
        assert most is not None
        if found is None or (self.whole and found != int(found)):
            out.add(node.place, f"`{text}` is no duration", "write such as 90s, 15m, 4h or 1d")
        elif found < least:
            out.add(node.place, f"`{text}` is too short", f"at least {self.least}")
        elif found > most:
            out.add(node.place, f"`{text}` is too long", f"at most {self.most}")
        return float(found or 0)


def read_days(text: str, node: Node, out: Problems) -> int | None:
    """The days that ``text`` states, ``None`` for ``forever``; to be used only if nothing was added to ``out``."""
    if text == FOREVER:
        return None
    found = _DAYS.fullmatch(text)
    if found is None:
        out.add(node.place, f"`{text}` is neither `{FOREVER}` nor whole days", "write such as 400d")
        return None
    days = int(found[1])
    if not 1 <= days <= _MOST_DAYS:
        out.add(node.place, f"`{text}` is out of bounds", f"from 1d to {_MOST_DAYS}d, or `{FOREVER}`")
    return days


def _seconds(text: str) -> Decimal | None:
    written = _WRITTEN.fullmatch(text)
    return Decimal(written[1]) * _UNITS[written[2]] if written else None
