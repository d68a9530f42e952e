"""What a file says of a target beside its URL and credential."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from countersign.config import selectors
from countersign.config.document import Node
from countersign.config.problem import Place, Problems
from countersign.config.shape import TARGET_NAME, TargetShape
from countersign.config.types import Binary, NewTools, RequestMasks, StatementArgument
from countersign.config.wording import nearest
from countersign.model.rule import Mask, ReplacementKind
from countersign.statements.classify import SQL_DIALECTS

RESERVED_TARGETS = frozenset({"approvals", "mcp", "portal"})
"""Names that a path at the gateway would confuse with the endpoint itself, or with a page of the gateway's own."""


def check_name(name: str, place: Place, out: Problems) -> None:
    """Refuse a name that no path at the gateway could hold."""
    if not re.fullmatch(TARGET_NAME, name) or name in RESERVED_TARGETS:
        taken = "`mcp`, `approvals` or `portal`"
        remedy = f"use up to 63 small letters, digits and hyphens, the first no hyphen, and not {taken}"
        out.add(place, f"`{name}` is no usable name of a target", remedy)


@dataclass(frozen=True, slots=True)
class Says:
    """Reads the keys of one target; to be used only if nothing was added to ``out``."""

    shape: TargetShape
    node: Node
    out: Problems

    def new_tools(self) -> NewTools:
        """What becomes of tools that are new or changed."""
        if self.shape.new_tools in tuple(NewTools):
            return NewTools(self.shape.new_tools)
        remedy = "write `deny` (until an operator accepts them) or `allow` (the rules alone decide)"
        self._add("new_tools", f"`{self.shape.new_tools}` is nothing to do with new tools", remedy)
        return NewTools.DENY

    def binary(self) -> Binary:
        """What becomes of answers that hold what is no text."""
        if self.shape.binary in tuple(Binary):
            return Binary(self.shape.binary)
        remedy = "write `refuse` (they are withheld) or `pass` (they pass unseen)"
        self._add("binary", f"`{self.shape.binary}` is nothing to do with binary data", remedy)
        return Binary.REFUSE

    def mask_request(self, masks: Mapping[str, Mask | None]) -> RequestMasks:
        """The masks for what goes to the target; ``masks`` are those declared, ``None`` those refused themselves."""
        shape = self.shape.mask_request
        if shape is None:
            return RequestMasks()
        given = RequestMasks(tuple(shape.mask or ()), tuple(shape.refuse or ()))
        if not given.mask and not given.refuse:
            self._add("mask_request", "`mask_request` does nothing", "give it `mask`, `refuse` or both")
        for key, names in (("mask", given.mask), ("refuse", given.refuse)):
            for position, name in enumerate(names):
                place = self.node.find(("mask_request", key, position)).place
                if name not in masks:
                    self.out.add(place, f"there is no mask `{name}`", selectors.declared(name, masks, "masks"))
                    continue
                mask = masks[name]
                if key == "mask" and mask is not None and mask.how is ReplacementKind.TOKENIZE:
                    what = f"`{name}` tokenizes, and a target could do nothing with the tokens"
                    self.out.add(place, what, "name a mask that redacts, keeps a part or hashes")
                if key == "mask" and name in given.refuse:
                    what = f"`{name}` stands under `refuse`, too, so nothing is left to mask"
                    self.out.add(place, what, "keep one of the two")
        return given

    def statements(self) -> Mapping[str, StatementArgument]:
        """Which arguments of which tools are SQL."""
        shapes = self.shape.statements or {}
        for tool, shape in shapes.items():
            if shape.dialect not in SQL_DIALECTS:
                meant = nearest(shape.dialect, SQL_DIALECTS)
                remedy = f"did you mean `{meant}`?" if meant else f"use one of {', '.join(SQL_DIALECTS)}"
                place = self.node.find(("statements", tool, "dialect")).place
                self.out.add(place, f"there is no dialect `{shape.dialect}`", remedy)
        return MappingProxyType(
            {tool: StatementArgument(shape.argument, shape.dialect) for tool, shape in shapes.items()}
        )

    def _add(self, key: str, what: str, remedy: str) -> None:
        self.out.add(self.node.find((key,)).place, what, remedy)
