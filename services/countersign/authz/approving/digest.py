"""What an approval is bound to: one exact call, of one principal, judged by one policy. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from countersign.authz.approving.canonical import canonical_params
from countersign.model.call import Call
from countersign.model.principal import Principal
from countersign.runtime.sealing import derived

_PURPOSE = b"countersign approved call"


@dataclass(frozen=True, slots=True)
class CallDigests:
    """``what`` tells who asks what of which target; ``digest`` also which tool and policy that was judged by.

    32 bytes each, and nobody without the deployment's key can tell from one what was asked.
    """

    what: bytes
    digest: bytes


def digests_of(
    key: bytes, principal: Principal, call: Call, params_json: str, pin: bytes, policy_version: str
) -> CallDigests:
    """Return the digests (HMAC-SHA-256) of a call that is to be sent with these params.

    ``params_json`` is the text of ``params`` as the target is to get it (see ``runtime.outgoing``), empty when there
    are none. ``pin`` says what the called tool is; empty when that is not known, or for what is no tool. ``key`` is the
    deployment's. Raises ``JsonRefused`` for params that are not JSON.
    """
    own_key = derived(key, _PURPOSE, 32)
    who = (principal.issuer, principal.subject, str(len(principal.actors)), *principal.actors)
    asked = (call.target, call.method, call.name_kind.value, call.name)
    parts = [part.encode() for part in (*who, *asked)]
    what = hmac.digest(own_key, _framed([b"what", *parts, canonical_params(params_json)]), "sha256")
    digest = hmac.digest(own_key, _framed([b"digest", what, pin, policy_version.encode()]), "sha256")
    return CallDigests(what, digest)


def _framed(parts: Iterable[bytes]) -> bytes:
    """Join so that no other parts give the same bytes: each has its length before it."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
