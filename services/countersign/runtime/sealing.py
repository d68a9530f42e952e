"""What the gateway hands out and must recognise again, sealed with a key that only its own services hold.

These come of it, each by a key of its own derived (HKDF, RFC 5869) from the deployment's key:

- the MCP session id that a legacy client holds: AES-SIV (RFC 5297), deterministic, bound to the principal and target,
  so that nobody else can use it and no service has to remember it;
- the principal that authz vouches for towards the recorder: AES-GCM with an age limit;
- the state of a call that waits for approval, which a modern client holds between its tries: AES-GCM, bound likewise;
- the id of a task that stands for such a wait: AES-SIV, bound likewise, so that it stays the same;
- the state of a target whose caller may not see it as it is: AES-GCM, bound likewise;
- the mark of a credential that a target was shown, by which masker finds it in answers: HMAC-SHA-256;
- the mark of a changed request, by which masker knows what authz judged: HMAC-SHA-256;
- the token by which our services and Envoy know one another where anybody could connect: ``service_token``;
- the key of hashed values: ``hash_key``; those of tokens: see ``runtime.token_keys``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from countersign.model.principal import Principal

KEY_BYTES = 32
PRINCIPAL_MAX_AGE_S = 60
MOST_NESTED_BYTES = 16 * 1024
"""How much of a target's own state a sealed wait holds."""

_SESSION_PREFIX = "cs1."
_WAIT_PREFIX = "cs-wait1."
_TASK_PREFIX = "cs-task1."
_STATE_PREFIX = "cs-state1."
_NONCE_BYTES = 12


class Unsealable(ValueError):
    """What was presented was not sealed here, or for somebody else, or too long ago."""


class WaitOver(Unsealable):
    """It was sealed here for this caller, and may no longer be used."""


@dataclass(frozen=True, slots=True)
class SealedSession:
    """What a sealed MCP session id holds: the target's own id, and the recorded session that it belongs to."""

    target_session: str
    session_id: str


@dataclass(frozen=True, slots=True)
class WaitState:
    """What a client holds of a call that waits for approval, and hands back with each try.

    ``what`` and ``digest`` are those of the call (``authz.approving.digest.CallDigests``). It may be used until
    ``expires_us`` (microseconds since the epoch). ``rounds`` counts the answers of this chain that only asked the
    client to come back; ``url_shown`` says whether one of them had the link. ``nested`` is the JSON text of the members
    ``requestState`` and ``inputResponses`` that the call had itself, which are its target's; ``{}`` without any.
    """

    approval_id: str
    what: bytes
    digest: bytes
    expires_us: int
    rounds: int = 0
    url_shown: bool = False
    nested: str = "{}"


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the id of a task stands for: an approval, and the recorded session in which it was asked for."""

    approval_id: str
    session_id: str


def is_wait(text: str) -> bool:
    """Whether a ``requestState`` claims to be one of a wait of ours."""
    return text.startswith(_WAIT_PREFIX)


def is_sealed_state(text: str) -> bool:
    """Whether a ``requestState`` claims to be a target's that was sealed here."""
    return text.startswith(_STATE_PREFIX)


def is_task(text: str) -> bool:
    """Whether a ``taskId`` claims to be ours; any other is its target's."""
    return text.startswith(_TASK_PREFIX)


def service_token(key: bytes) -> str:
    """Return the token that whoever calls a service on TCP must send: visible ASCII, the same for the same ``key``.

    It opens nothing that is sealed. Raises ``ValueError`` for a key of less than 32 bytes.
    """
    return _to_text(derived(key, b"countersign service token", 32))


def hash_key(key: bytes) -> bytes:
    """Return the key of the hashes that stand in place of values: 32 bytes, the same for the same ``key``."""
    return derived(key, b"countersign hashed values", 32)


class Sealer:
    """Seals and opens with keys derived from ``key`` (at least 32 bytes). ``clock`` gives seconds since the epoch."""

    def __init__(self, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        key = _long_enough(key)
        self._sessions = AESSIV(derived(key, b"countersign mcp session", 64))
        self._principals = AESGCM(derived(key, b"countersign principal", 32))
        self._requests = derived(key, b"countersign judged request", 32)
        self._shown = derived(key, b"countersign shown credential", 32)
        self._waits = AESGCM(derived(key, b"countersign waiting call", 32))
        self._tasks = AESSIV(derived(key, b"countersign task", 64))
        self._states = AESGCM(derived(key, b"countersign target state", 32))
        self._clock = clock

    def seal_session(self, principal: Principal, target: str, session: SealedSession) -> str:
        """Return the session id to give to the client: visible ASCII, the same for the same input."""
        plain = json.dumps([session.session_id, session.target_session]).encode()
        return _SESSION_PREFIX + _to_text(self._sessions.encrypt(plain, _owner(principal, target)))

    def open_session(self, principal: Principal, target: str, sealed: str) -> SealedSession:
        """Open what ``seal_session`` made for this very principal and target, else raise ``Unsealable``."""
        if not sealed.startswith(_SESSION_PREFIX):
            raise Unsealable("not a session id of this gateway")
        try:
            plain = self._sessions.decrypt(_to_bytes(sealed[len(_SESSION_PREFIX) :]), _owner(principal, target))
        except (InvalidTag, ValueError) as error:
            raise Unsealable("not a session of this caller") from error
        session_id, target_session = json.loads(plain)
        return SealedSession(target_session=target_session, session_id=session_id)

    def seal_wait(self, principal: Principal, target: str, state: WaitState) -> str:
        """Return the ``requestState`` to give to the client: visible ASCII, each time another.

        Raises ``ValueError`` when ``nested`` has more than ``MOST_NESTED_BYTES``.
        """
        if len(state.nested.encode()) > MOST_NESTED_BYTES:
            raise ValueError("the target's own state is too large to be sealed")
        what, digest = _to_text(state.what), _to_text(state.digest)
        plain = json.dumps(
            [state.approval_id, what, digest, state.expires_us, state.rounds, state.url_shown, state.nested]
        ).encode()
        return _sealed_state(self._waits, plain, _WAIT_PREFIX, principal, target)

    def open_wait(self, principal: Principal, target: str, text: str, now_us: int) -> WaitState:
        """Open what ``seal_wait`` made for this very principal and target.

        Raises ``WaitOver`` when its time has come, and ``Unsealable`` for whatever else is not as it was sealed.
        """
        plain = _opened_state(self._waits, text, _WAIT_PREFIX, principal, target)
        approval_id, what, digest, expires_us, rounds, url_shown, nested = json.loads(plain)
        if now_us >= expires_us:
            raise WaitOver("the requestState has expired")
        return WaitState(approval_id, _to_bytes(what), _to_bytes(digest), expires_us, rounds, url_shown, nested)

    def seal_task(self, principal: Principal, target: str, state: TaskState) -> str:
        """Return the ``taskId`` to give to the client: visible ASCII, the same for the same input."""
        plain = json.dumps([state.approval_id, state.session_id]).encode()
        return _TASK_PREFIX + _to_text(self._tasks.encrypt(plain, _owner(principal, target)))

    def open_task(self, principal: Principal, target: str, text: str) -> TaskState:
        """Open what ``seal_task`` made for this very principal and target, else raise ``Unsealable``."""
        try:
            plain = self._tasks.decrypt(_only_spelling(text, _TASK_PREFIX), _owner(principal, target))
        except (InvalidTag, ValueError) as error:
            raise Unsealable("the taskId is not one that this gateway gave to this caller") from error
        approval_id, session_id = json.loads(plain)
        return TaskState(approval_id, session_id)

    def seal_state(self, principal: Principal, target: str, state: str) -> str:
        """Return what to give to the client in place of a target's ``requestState``: visible ASCII, each time another.

        It hides what the state says, and not how long it is.
        """
        return _sealed_state(self._states, state.encode(), _STATE_PREFIX, principal, target)

    def open_state(self, principal: Principal, target: str, text: str) -> str:
        """Open what ``seal_state`` made for this very principal and target, else raise ``Unsealable``."""
        return _opened_state(self._states, text, _STATE_PREFIX, principal, target).decode()

    def mark_request(self, body: bytes) -> str:
        """Return what tells this body of a request from every other, and nothing of what it says."""
        return _to_text(hmac.digest(self._requests, body, "sha256"))

    def mark_shown(self, value: bytes) -> str:
        """Return what tells this credential from every other text, and nothing of what it is."""
        return _to_text(hmac.digest(self._shown, value, "sha256")[:16])

    def seal_principal(self, principal: Principal) -> str:
        """Return a text by which the recorder knows for the next minute who calls it."""
        plain = json.dumps([self._clock(), principal.listed()]).encode()
        nonce = os.urandom(12)
        return _to_text(nonce + self._principals.encrypt(nonce, plain, None))

    def open_principal(self, sealed: str) -> Principal:
        """Open what ``seal_principal`` made less than ``PRINCIPAL_MAX_AGE_S`` ago, else raise ``Unsealable``."""
        try:
            raw = _to_bytes(sealed)
            plain = self._principals.decrypt(raw[:12], raw[12:], None)
        except (InvalidTag, ValueError) as error:
            raise Unsealable("the caller is not vouched for by this gateway") from error
        sealed_at, listed = json.loads(plain)
        if not -PRINCIPAL_MAX_AGE_S <= self._clock() - sealed_at <= PRINCIPAL_MAX_AGE_S:
            raise Unsealable("the caller was vouched for too long ago")
        return Principal.of_listed(listed)


def _long_enough(key: bytes) -> bytes:
    if len(key) < KEY_BYTES:
        raise ValueError(f"the sealing key has {len(key)} bytes; it needs at least {KEY_BYTES}")
    return key


def derived(key: bytes, purpose: bytes, length: int) -> bytes:
    """Return the key of one purpose, derived (HKDF-SHA-256, RFC 5869) from the deployment's; ``length`` in bytes.

    Raises ``ValueError`` for a key of less than 32 bytes.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(_long_enough(key))


def _sealed_state(cipher: AESGCM, plain: bytes, prefix: str, principal: Principal, target: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return prefix + _to_text(nonce + cipher.encrypt(nonce, plain, _framed(_owner(principal, target))))


def _opened_state(cipher: AESGCM, text: str, prefix: str, principal: Principal, target: str) -> bytes:
    try:
        raw = _only_spelling(text, prefix)
        return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _framed(_owner(principal, target)))
    except (InvalidTag, ValueError) as error:
        raise Unsealable("the requestState is not one that this gateway gave to this caller") from error


def _owner(principal: Principal, target: str) -> list[bytes]:
    return [principal.issuer.encode(), principal.subject.encode(), target.encode()]


def _framed(parts: list[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _only_spelling(text: str, prefix: str) -> bytes:
    """Decode what follows ``prefix``; what would decode to the same but is spelt otherwise raises ``ValueError``."""
    raw = _to_bytes(text.removeprefix(prefix))
    if text != prefix + _to_text(raw):
        raise ValueError("not as it was written here")
    return raw


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _to_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error
