"""Names that the record and people tell things apart by: each thing has one of its own."""

from __future__ import annotations

from countersign.config.document import Node
from countersign.config.problem import Problems


class Names:
    """The names of rules and limits so far; they share one space, as a decision names either."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def take(self, name: str, node: Node, what: str, out: Problems) -> None:
        """Take the name of the rule or limit at ``node``; refuse it when it is taken or hard to read."""
        place = node.find(("name",)).place
        if not name.isprintable() or name != name.strip():
            out.add(place, f"the {what}'s name has unprintable characters, or spaces around it", "write a plain name")
        if twin := self._taken.get(name.casefold()):
            said = "stands twice" if twin == name else f"differs only in case from `{twin}`"
            out.add(place, f"the {what} name `{name}` {said}", f"give each {what} a name of its own")
        self._taken[name.casefold()] = name
