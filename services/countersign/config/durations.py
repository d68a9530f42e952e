"""How long something takes, as people write it: 90s, 15m, 4h, 1d."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from countersign.config.document import Node
from countersign.config.problem import Problems

ONCE = "once"

_WRITTEN = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])")
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


def _seconds(text: str) -> Decimal | None:
    written = _WRITTEN.fullmatch(text)
    return Decimal(written[1]) * _UNITS[written[2]] if written else None
