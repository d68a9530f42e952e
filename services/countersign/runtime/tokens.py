"""The vault of tokens, as masker uses it: kept by the recorder before they are shown, found again when handed back."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from countersign.api.access.v1 import tokens_pb2, tokens_pb2_grpc
from countersign.jsontext import Document, JsonRefused, parse
from countersign.masking.tokens import Mint
from countersign.masking.unmask import NotUnmaskable, Unmasked, argument_openings, unmasked
from countersign.runtime.aside import Aside
from countersign.runtime.channels import channel_options
from countersign.runtime.sealing import Unsealable
from countersign.runtime.token_keys import OwnerKeys, TokenKeys, TokenOwner
from countersign.runtime.trust import SERVICE_HEADER

TIMEOUT_S = 10.0
REMEMBERED_S = 3600.0
"""For how long a token is taken for kept without asking again: the recorder keeps each for hours longer."""

_MOST_REMEMBERED = 200_000
_KEPT_AT_ONCE = 500
_OPENINGS_AT_ONCE = 10_000
_MOST_OPENINGS = 200_000
# To look for tokens in a larger request would hold up the other calls of this process.
_ASIDE_FROM_BYTES = 32 * 1024
_ASIDE_AT_ONCE = 2
_CHANNEL_OPTIONS = channel_options(sends_mib=32, receives_mib=32)


class VaultError(Exception):
    """Base of what this file raises. The message is safe to show."""


class NotKept(VaultError):
    """The tokens are not known to be durable, so nobody may see them."""


class VaultFull(VaultError):
    """No more tokens are kept for this session: its values must be redacted."""


class NotPutBack(VaultError):
    """The tokens of a request cannot be turned into values, so it must not be sent."""


@dataclass(frozen=True, slots=True)
class Unkept:
    """Tokens that another value of the session has, and values that are tokens of the session: see ``Mint.avoid``."""

    taken: frozenset[str] = frozenset()
    echoes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.taken or self.echoes)


class Vault(Protocol):
    """What masker asks of the vault: ``TokenVault``, and what tests put in its place."""

    def mint(self, owner: TokenOwner) -> Mint:
        """Return a fresh mint of the owner's tokens."""

    async def keep(self, owner: TokenOwner, made: Mapping[str, str]) -> Unkept:
        """Make tokens durable with their values; return those that must not be shown. Raises ``VaultError``."""

    async def put_back(self, owner: TokenOwner, body: bytes, *, max_depth: int) -> Unmasked:
        """Return a JSON-RPC request with values in place of the tokens in its arguments. Raises ``NotPutBack``."""


class TokenVault:
    """The recorder's tokens, sealed here: neither it nor its database ever holds a value that it could read."""

    def __init__(
        self,
        address: str,
        key: bytes,
        *,
        service_token: str = "",
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._keys = TokenKeys(key)
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._monotonic_s = monotonic_s
        self._channel: grpc.aio.Channel | None = None
        self._aside = Aside(from_bytes=_ASIDE_FROM_BYTES, at_once=_ASIDE_AT_ONCE)
        # Of what was kept the synthetic IV, which no other token, value or owner has; and when to ask again.
        self._kept: OrderedDict[bytes, float] = OrderedDict()

    async def start(self) -> None:
        """Connect, when first asked."""
        self._channel = grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)

    async def close(self) -> None:
        """Let go of the recorder; nothing is kept or found from now on."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def mint(self, owner: TokenOwner) -> Mint:
        """See ``Vault``."""
        return Mint(self._keys.of(owner).mint)

    async def keep(self, owner: TokenOwner, made: Mapping[str, str]) -> Unkept:
        """See ``Vault``. Raises ``NotKept``, ``VaultFull``."""
        keys = self._keys.of(owner)
        now_s = self._monotonic_s()
        sealed = {token: keys.seal(token, value) for token, value in made.items()}
        unknown = [token for token in made if self._kept.get(_iv(sealed[token]), now_s) <= now_s]
        taken: set[str] = set()
        echoes: set[str] = set()
        for some in _slices(unknown, _KEPT_AT_ONCE):
            messages = [_message(keys, token, made[token], sealed[token]) for token in some]
            told = await self._keep(owner.session_id, messages)
            some_taken = {token for token, message in zip(some, messages, strict=True) if message.mark in told[0]}
            some_echoing = {
                token for token, message in zip(some, messages, strict=True) if message.value_mark in told[1]
            }
            taken |= some_taken
            echoes |= {made[token] for token in some_echoing}
            self._remember([sealed[token] for token in some if token not in some_taken | some_echoing], now_s)
        return Unkept(frozenset(taken), frozenset(echoes))

    async def real_values(self, owner: TokenOwner, openings: Collection[str]) -> dict[str, str]:
        """Return the owner's tokens that begin so (see ``opening``), with their values. Raises ``NotPutBack``."""
        if self._channel is None:
            raise NotPutBack("the gateway is stopping")
        keys = self._keys.of(owner)
        stub = tokens_pb2_grpc.TokenServiceStub(self._channel)
        found: dict[str, str] = {}
        for some in _slices(sorted(openings), _OPENINGS_AT_ONCE):
            request = tokens_pb2.FindTokensRequest(session_id=owner.session_id, heads=map(keys.head, some))
            try:
                answer = await stub.FindTokens(request, metadata=self._metadata, timeout=TIMEOUT_S, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                raise NotPutBack(f"the tokens could not be looked up ({error.code().name})") from None
            try:
                found.update(map(keys.open, answer.sealed))
            except Unsealable as error:
                raise NotPutBack("the recorder answered with tokens of another session") from error
        return found

    async def put_back(self, owner: TokenOwner, body: bytes, *, max_depth: int) -> Unmasked:
        """See ``Vault``."""

        def read() -> tuple[Document, set[str]]:
            document = parse(body, max_depth=max_depth)
            return document, argument_openings(document)

        try:
            document, openings = await self._aside.run(len(body), read)
            if len(openings) > _MOST_OPENINGS:
                raise NotPutBack("the arguments have too many words to look for tokens in")
            values = await self.real_values(owner, openings) if openings else {}
            return await self._aside.run(len(body), lambda: unmasked(document, values))
        except JsonRefused as error:
            raise NotPutBack(f"the request is not JSON: {error.reason}") from None
        except NotUnmaskable as error:
            raise NotPutBack(str(error)) from None

    async def _keep(
        self, session_id: str, messages: Collection[tokens_pb2.SealedToken]
    ) -> tuple[Collection[bytes], Collection[bytes]]:
        if self._channel is None:
            raise NotKept("the gateway is stopping")
        stub = tokens_pb2_grpc.TokenServiceStub(self._channel)
        request = tokens_pb2.KeepTokensRequest(session_id=session_id, tokens=messages)
        try:
            answer = await stub.KeepTokens(request, metadata=self._metadata, timeout=TIMEOUT_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise VaultFull("the session has as many tokens as it may") from None
            raise NotKept(f"tokens could not be kept ({error.code().name})") from None
        return frozenset(answer.taken), frozenset(answer.echoes)

    def _remember(self, sealed: Collection[bytes], now_s: float) -> None:
        for one in sealed:
            self._kept[_iv(one)] = now_s + REMEMBERED_S
            self._kept.move_to_end(_iv(one))
        while len(self._kept) > _MOST_REMEMBERED:
            self._kept.popitem(last=False)


def _slices(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _iv(sealed: bytes) -> bytes:
    return sealed[:16]


def _message(keys: OwnerKeys, token: str, value: str, sealed: bytes) -> tokens_pb2.SealedToken:
    return tokens_pb2.SealedToken(
        mark=keys.mark(token), value_mark=keys.mark(value), head=keys.head_of(token), sealed=sealed
    )
