"""One request on its way from authz to its target, when something of it must be changed: restore, mask, put back.

authz judged and recorded the request, and decided that it must be changed; here that is only done. What cannot be done
as decided is not sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Protocol

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.masker import envoy
from countersign.masker.ends import Ends
from countersign.masker.records import EventMaker
from countersign.masker.withheld import Withheld
from countersign.masking import NotMaskable
from countersign.mcp import Failure, failed, moved_param_mirrors
from countersign.model.event import EventKind
from countersign.model.handoff import Handoff
from countersign.model.principal import Principal
from countersign.runtime.aside import Aside
from countersign.runtime.outgoing import bared, masked_request, params_of, restored
from countersign.runtime.recording import EventSink, NotRecorded
from countersign.runtime.revocations import Ended
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer

PARTS = frozenset({"request_headers", "request_body", "request_trailers"})
"""The messages of Envoy that are about a request."""


class Tokens(Protocol):
    """Turns the tokens of a session back; what tests put in place of the vault."""

    async def put_back(self, handoff: Handoff, body: bytes) -> bytes:
        """Return the request with the values that the tokens in its arguments stand for. Raises ``Withheld``."""


class NoTokens:
    """For a masker without a vault: what holds tokens to be turned back is not sent."""

    async def put_back(self, handoff: Handoff, body: bytes) -> bytes:
        """See ``Tokens``."""
        raise Withheld("this gateway keeps no tokens")


class RequestSide:
    """The life of one request. Feed it Envoy's messages in order; send on what it returns.

    Envoy holds the request's head back until its body is released. ``aside`` is shared by all requests of a process.
    ``whose`` is told of whom and of which session it is, right before its release, and raises ``Ended`` when it must
    not go on. From then on until an answer comes, ``end`` ends it. ``ends`` says whether its end is on the record
    already.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        sink: EventSink,
        tokens: Tokens,
        sealer: Sealer,
        aside: Aside,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        whose: Callable[[Principal, str], None],
        ends: Ends,
    ) -> None:
        self._rulebook = rulebook
        self._whose = whose
        self._ends = ends
        self._sink = sink
        self._tokens = tokens
        self._sealer = sealer
        self._aside = aside
        self._now_us = now_us
        self._new_id = new_id
        self._handoff: Handoff | None = None
        self._headers: dict[str, str] = {}
        self._held = False

    async def step(self, message: pb.ProcessingRequest) -> Sequence[pb.ProcessingResponse]:
        """Take one message; return what goes back to Envoy. Raises ``ValueError`` for what authz cannot have sent."""
        what = message.WhichOneof("request")
        if what == "request_headers":
            self._handoff = envoy.read_handoff(message)
            if self._handoff is None:
                return (_instead(Failure.UNAVAILABLE, "the request was not judged", None),)
            self._headers = envoy.read_request_headers(message)
            self._held = not message.request_headers.end_of_stream
            if not self._held:
                return (await self._bodiless(self._handoff),)
            return (envoy.request_head(),)
        if what == "request_body" and self._handoff is not None and message.request_body.end_of_stream:
            reply = await self._body(self._handoff, message.request_body.body)
            self._held = False
            return (reply,)
        raise ValueError("Envoy did not hold the request until it was whole")

    @property
    def unfinished(self) -> bool:
        """Whether a request was neither sent on nor refused."""
        return self._held

    async def end(self, reason: str) -> Sequence[pb.ProcessingResponse]:
        """End a call of which no answer came, though its request was sent; record why. Nothing if none was."""
        if self._handoff is None:
            return ()
        try:
            await self._record(self._handoff, Failure.BAD_GATEWAY, reason)
        except NotRecorded:
            reason = "the call was ended, and that could not be recorded"
        return (_instead(Failure.BAD_GATEWAY, reason, self._handoff),)

    async def cut(self, reason: str) -> None:
        """Record that the request was not sent, if it was not."""
        if self._held and self._handoff is not None:
            self._held = False
            await self._record(self._handoff, Failure.BAD_GATEWAY, reason)

    async def _bodiless(self, handoff: Handoff) -> pb.ProcessingResponse:
        try:
            self._whose(handoff.principal, handoff.session_id)
        except Ended as error:
            return await self._refuse(handoff, str(error))
        return envoy.request_head()

    async def _body(self, handoff: Handoff, data: bytes) -> pb.ProcessingResponse:
        changed = data
        try:
            if handoff.mask_request or handoff.unmask or handoff.bare or handoff.state is not None:
                changed = await self._changed(handoff, data)
            self._whose(handoff.principal, handoff.session_id)
        except (Withheld, NotMaskable, Ended) as error:
            reason = error.reason if isinstance(error, NotMaskable) else str(error)
            return await self._refuse(handoff, reason)
        if changed == data:
            return envoy.same_request_body()
        # They repeat arguments, and servers refuse a call whose headers say something else than its body.
        return envoy.request_body(changed, moved_param_mirrors(self._headers, params_of(data), params_of(changed)))

    async def _changed(self, handoff: Handoff, data: bytes) -> bytes:
        """Mask before tokens are put back: their values are for the tool that a rule names, whatever is masked."""
        if handoff.state is not None:
            data = _restored(data, handoff.state)
        if handoff.bare:
            data = bared(data)
        if handoff.mask_request:
            in_force = self._rulebook.find(handoff.policy_version)
            target = in_force.config.targets.get(handoff.target) if in_force is not None else None
            if in_force is None or target is None or not target.mask_request.mask:
                raise Withheld("the policy that judged the call is not known here")
            masker = in_force.masks.select(target.mask_request.mask)
            body = data
            data = (await self._aside.run(len(body), lambda: masked_request(masker, body))).data
        if handoff.unmask:
            data = await self._tokens.put_back(handoff, data)
        if not hmac.compare_digest(self._sealer.mark_request(data), handoff.sent_mark):
            # A token may be new or gone since authz looked it up, and masks may differ.
            raise Withheld("it would not be what was judged")
        return data

    async def _refuse(self, handoff: Handoff, reason: str) -> pb.ProcessingResponse:
        text = f"the call was not sent: {reason}"
        try:
            await self._record(handoff, Failure.UNAVAILABLE, text)
        except NotRecorded:
            text = "the call was not sent, and that could not be recorded"
        return _instead(Failure.UNAVAILABLE, text, handoff)

    async def _record(self, handoff: Handoff, failure: Failure, reason: str) -> None:
        if not self._ends.mine(handoff.call_id):
            return  # Envoy told of its caller's leaving first, and that is its end on the record.
        self._ends.over(handoff.call_id)
        events = EventMaker(handoff, self._now_us, self._new_id)
        await self._sink.record(events.make(EventKind.RESPONSE, status=failure.status, reason=reason))


def _restored(data: bytes, state: str) -> bytes:
    try:
        return restored(data, state)
    except ValueError:
        refusal = Withheld("its target's own state cannot be put back")
    raise refusal


def _instead(failure: Failure, text: str, handoff: Handoff | None) -> pb.ProcessingResponse:
    id_json = handoff.calls[0].id_json if handoff is not None and len(handoff.calls) == 1 else ""
    reply = failed(failure, text, id_json)
    return envoy.instead(reply.status, reply.body)
