"""The way of a request to the one door for all targets: who calls, and is it one that everybody reads the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from countersign.authz.denials import unavailable
from countersign.authz.envoy import Answer, Forward, Inquiry, Summary
from countersign.authz.judge import Judge
from countersign.authz.nameless import Nameless
from countersign.identity import IdentityUnavailable, TokenVerifier, Unidentified
from countersign.mcp import INVALID_REQUEST, Failure, McpRefused, Reply, Request, failed, read_request, refused
from countersign.model.decision import Outcome
from countersign.model.door import DISMISSED_HEADER, HUB_NAME, PRINCIPAL_HEADER, SOURCE_HEADER
from countersign.model.principal import Principal
from countersign.runtime.aside import Aside
from countersign.runtime.recording import NotRecorded
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import Sealer

# What else a caller sends neither the hub nor a target is to read.
_PASSED = frozenset(
    {
        *("accept", "authorization", "content-length", "content-type", "host", "transfer-encoding"),
        *("last-event-id", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"),
        *("traceparent", "tracestate"),
    }
)
_PASSED_PREFIXES = (":", "mcp-param-")
_DISMISSAL = re.compile(r"([1-5][0-9]{2}) ([ -~]{1,200})")
_ON_RECORD = Reply(202, b"")
# Envoy answers 500 for a head that is above its bounds (envoy/limits.py) once authz added to it, and the hub's web
# server takes 32 KiB (runtime/web.py): neither would leave a trace. The rest is for what Envoy adds by itself.
_MOST_HEAD_LINES = 96
_MOST_HEAD_BYTES = 63 * 1024
_MOST_PASSED_BYTES = 31 * 1024
_TOO_LONG = "the head of the request is larger, or has more headers, than the one door takes"


class HubDoor:
    """Vouches to the hub for callers with a token for the one door, and records what nobody else would.

    That is what cannot be read, what is asked of no target (``nameless``), and what the hub answers by itself. What
    they ask of targets is not judged here: the hub asks for it inside, with the caller's own token, and there it is
    judged and recorded as any call of that target. Large bodies are read ``aside``.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        verifier: TokenVerifier,
        sealer: Sealer,
        judge: Judge,
        nameless: Nameless,
        aside: Aside,
        now_us: Callable[[], int],
    ) -> None:
        self._rulebook = rulebook
        self._verifier = verifier
        self._sealer = sealer
        self._judge = judge
        self._nameless = nameless
        self._aside = aside
        self._now_us = now_us

    async def admit(self, inquiry: Inquiry) -> Forward | Answer:
        """Pass the request on with a sealed principal and the caller's address, or say what is wrong with it."""
        arrived_us = self._now_us()
        in_force = self._rulebook.current
        if not in_force.config.hub:
            return Answer(failed(Failure.UNAVAILABLE, "the hub is not in force yet"), Summary())
        try:
            principal = await self._verifier.verify(inquiry.authorization, in_force.config.hub_resource)
            try:
                request = await self._read(inquiry, in_force)
            except McpRefused as error:
                return await self._judge.refuse(inquiry, principal, error, in_force)
            answer = await self._nameless.answer(inquiry, principal, request, arrived_us, in_force)
            if answer is not None:
                return answer
            forward = self._vouched(inquiry, principal)
            if _is_too_long(inquiry, forward):
                refusal = McpRefused(431, INVALID_REQUEST, _TOO_LONG)
                refusal.id_json = request.id_json
                summary = await self._nameless.dismiss(
                    *(inquiry, principal, request, arrived_us, in_force), status=431, reason=_TOO_LONG
                )
                return Answer(refused(refusal), summary)
        except Unidentified as error:
            return await self._judge.unidentified(inquiry, arrived_us, error, in_force, resource_path="/mcp")
        except (IdentityUnavailable, NotRecorded) as error:
            return unavailable(error)
        return forward

    async def dismissed(self, inquiry: Inquiry) -> Answer:
        """Record a request that the hub brings because no target gets it: 202 says that this is done.

        The caller's token is verified anew, and what was asked is read anew; of the hub are the status and the reason.
        """
        arrived_us = self._now_us()
        said = _DISMISSAL.fullmatch(inquiry.http.headers.get(DISMISSED_HEADER, ""))
        if said is None or not inquiry.inner:
            raise LookupError("it is not the hub that says what it answers")
        in_force = self._rulebook.current
        if not in_force.config.hub:
            return Answer(failed(Failure.UNAVAILABLE, "the hub is not in force yet"), Summary())
        try:
            principal = await self._verifier.verify(inquiry.authorization, in_force.config.hub_resource)
            try:
                request = await self._read(inquiry, in_force)
            except McpRefused as error:
                # By another edit than the one by which it was let pass to the hub.
                answer = await self._judge.refuse(inquiry, principal, error, in_force)
                return replace(answer, reply=_ON_RECORD)
            summary = await self._nameless.dismiss(
                inquiry, principal, request, arrived_us, in_force, status=int(said[1]), reason=said[2]
            )
        except Unidentified as error:
            return await self._judge.unidentified(inquiry, arrived_us, error, in_force, resource_path="/mcp")
        except (IdentityUnavailable, NotRecorded) as error:
            return unavailable(error)
        return Answer(_ON_RECORD, summary)

    def _vouched(self, inquiry: Inquiry, principal: Principal) -> Forward:
        given = {PRINCIPAL_HEADER: self._sealer.seal_principal(principal), SOURCE_HEADER: inquiry.source_address}
        removed = tuple(
            name
            for name in inquiry.http.headers
            if name not in _PASSED and name not in given and not name.startswith(_PASSED_PREFIXES)
        )
        return Forward(given, removed, Summary(decision=Outcome.ALLOW.value))

    async def _read(self, inquiry: Inquiry, in_force: InForce) -> Request:
        """Read a request. Raises ``McpRefused``."""
        if "?" in inquiry.path:
            raise McpRefused(400, -32600, "the URL of an MCP endpoint takes no query")
        http, depth = inquiry.http, in_force.config.limits.json_depth
        return await self._aside.run(len(http.body), lambda: read_request(HUB_NAME, http, max_depth=depth))


def _is_too_long(inquiry: Inquiry, forward: Forward) -> bool:
    """Whether Envoy or the hub would not take the head of a request that is let pass."""
    came = {name: value for name, value in inquiry.http.headers.items() if name not in forward.set_headers}
    passed = {name: value for name, value in came.items() if name not in forward.remove_headers}
    return (
        inquiry.head_lines > _MOST_HEAD_LINES
        or _size(came) + _size(forward.set_headers) > _MOST_HEAD_BYTES
        or _size(passed) + _size(forward.set_headers) > _MOST_PASSED_BYTES
    )


def _size(headers: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.items())
