"""The door of the services that people reach: who asks, may they, and the record that they asked."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Literal, NoReturn, TypeVar

import grpc
from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from countersign.model.principal import Principal
from countersign.recorder.asked import BadQuestion
from countersign.recorder.audit import AuditTrail, NotAudited
from countersign.runtime.live import Live
from countersign.runtime.revocations import Ended, NotKnown, Revoked
from countersign.runtime.sealing import Unsealable

PRINCIPAL_METADATA = "x-countersign-principal"
# What is asked is recorded, also of those who may not ask: nobody shall fill the record with it.
MAX_REQUEST_BYTES = 16 * 1024
# Longer than any id. What was asked for stands whole in the body, which has no bound that it could break.
MOST_NAME_CHARACTERS = 200

Context = grpc.aio.ServicerContext[object, object]
_T = TypeVar("_T")
Role = Literal["auditor", "operator"]
_MAY: Mapping[tuple[Role, ...], str] = {
    ("auditor",): "only auditors may read the record",
    ("operator",): "only operators may do this",
}


class Door:
    """Lets auditors and operators in, as gateway.yaml names them now.

    ``open_principal`` opens what authz sealed, or raises ``Unsealable``; ``is_auditor`` and ``is_operator`` are asked
    on every call, and so is ``live``, which ends what goes on for those who are revoked.
    """

    def __init__(
        self,
        trail: AuditTrail,
        *,
        live: Live,
        open_principal: Callable[[str], Principal],
        is_auditor: Callable[[Principal], bool],
        is_operator: Callable[[Principal], bool] = lambda _: False,
    ) -> None:
        self.trail = trail
        self._live = live
        self._open_principal = open_principal
        self._is = {"auditor": is_auditor, "operator": is_operator}

    async def admit(self, request: Message, name: str, context: Context, *roles: Role) -> Principal:
        """Return who asks, when they are in one of the ``roles`` (``auditor`` if none is named); else end the call.

        Attempts of others are recorded, too.

        ``name`` is what is asked for, if it is one thing. The caller has ``audited`` record what was asked once it was
        found well formed, and before anything is told.
        """
        given = [str(value) for key, value in context.invocation_metadata() or () if key == PRINCIPAL_METADATA]
        try:
            # Two of them would leave open who asks; what is joined opens as nobody.
            principal = self._open_principal(",".join(given))
        except Unsealable:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "come through the gateway, with a bearer token")
        try:
            self._live.check(principal)
        except Ended as error:
            await abort(context, error)
        if request.ByteSize() > MAX_REQUEST_BYTES:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"request: larger than {MAX_REQUEST_BYTES} bytes")
        roles = roles or ("auditor",)
        if not any(self._is[role](principal) for role in roles):
            try:
                await self.audited(principal, request, name, context, refused=f"not an {' or '.join(roles)}")
            except NotAudited as error:
                await abort(context, error)
            may = _MAY.get(roles, f"only {'s and '.join(roles)}s may do this")
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, may)
        return principal

    def still(self, principal: Principal, role: Role = "auditor") -> bool:
        """Whether who was let in would be let in now, as streams ask that last."""
        try:
            self._live.check(principal)
        except Ended:
            return False
        return self._is[role](principal)

    def until_ended(self, principal: Principal, source: AsyncGenerator[_T, None]) -> AsyncGenerator[_T, None]:
        """Yield what ``source`` yields. Raises ``Ended`` once who was let in is revoked, also while it waits."""
        return self._live.until_ended(principal, source)

    async def audited(
        self, principal: Principal, request: Message, name: str, context: Context, *, refused: str = ""
    ) -> None:
        """Return when it is durable what was asked, and why it was ``refused`` if it was. Raises ``NotAudited``."""
        trace = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
        await self.trail.record(
            principal,
            method=type(request).__name__.removesuffix("Request"),
            name=name[:MOST_NAME_CHARACTERS],
            asked=_json(request),
            allowed=not refused,
            refused=refused,
            traceparent=str(trace[0])[:55] if len(trace) == 1 else "",
        )


def _json(request: Message) -> str:
    try:
        return MessageToJson(request, indent=None, preserving_proto_field_name=True)
    except JsonError:
        # JSON has no words for a time that no calendar has: attempts with one are recorded, too.
        return json.dumps({"malformed": base64.b64encode(request.SerializeToString()).decode()})


async def abort(context: Context, error: Exception) -> NoReturn:
    """End a call for what every service of the record may meet; what it knows better, it tells itself before."""
    match error:
        case BadQuestion():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        case NotAudited():
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the reading cannot be recorded now: try again")
        case Revoked():
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        case NotKnown():
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"{error}: try again")
        case _:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the record cannot be read now: try again")
