"""What a target's ``mask_request`` says of a request: it is refused, masked on its way, or nothing was found. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from countersign.config import RequestMasks
from countersign.masking import MaskCatalog
from countersign.model.decision import Decision, Outcome
from countersign.runtime.outgoing import FixedPart, labels_of, masked_request


@dataclass(frozen=True, slots=True)
class Outgoing:
    """``refusal`` says which mask found what, never where or the value; empty when the request may be sent.

    ``body`` is what the target is to get, ``masked`` whether something in it was masked, ``put_back`` whether values
    were put back in it for tokens. ``state`` is what it holds in place of our own state that the caller handed back:
    JSON text of the target's own members (``runtime.outgoing.restored``). ``None``: the caller handed none back.
    ``bare`` says that something was left away of its ``_meta`` (``runtime.outgoing.bared``).
    """

    body: bytes
    masked: bool = False
    put_back: bool = False
    refusal: str = ""
    state: str | None = None
    bare: bool = False

    @property
    def changed(self) -> bool:
        """Whether the target is to get something else than the caller sent."""
        return self.masked or self.put_back or self.bare or self.state is not None

    def denial(self, decision: Decision) -> Decision:
        """Return a decision as it is when the request is refused."""
        message = f"Nothing was sent: {self.refusal}."
        return replace(
            decision, outcome=Outcome.DENY, rules=(), masks=(), reason=self.refusal, message=message, unmask=False
        )


def examine(asked: RequestMasks, masks: MaskCatalog, body: bytes) -> Outgoing:
    """Look for what the masks of a target find in the body of a request for it. Raises ``NotMaskable``."""
    for name in asked.refuse:
        try:
            found = labels_of(masked_request(masks.select((name,)), body))
        except FixedPart as error:
            found = error.labels
        if found:
            return Outgoing(body, refusal=f"the mask `{name}` found {', '.join(found)} in the call")
    if not asked.mask:
        return Outgoing(body)
    try:
        masked = masked_request(masks.select(asked.mask), body)
    except FixedPart as error:
        labels, names = ", ".join(error.labels), ", ".join(f"`{name}`" for name in asked.mask)
        return Outgoing(body, refusal=f"masking by {names} found {labels} in the call outside of its arguments")
    return Outgoing(masked.data, masked=masked.changed)
