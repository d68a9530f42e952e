"""The conditions of rules, compiled as they will be when calls are judged, so that none can fail to be there then."""

from __future__ import annotations

from countersign.config.document import Node
from countersign.config.problem import Problems


def check(text: str, node: Node, title: str, out: Problems) -> None:
    """Refuse a condition that does not compile, at the character that is wrong, or that is the same for every call."""
