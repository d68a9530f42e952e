"""A vault without a recorder: the real keys over a store in memory."""

from __future__ import annotations

from collections.abc import Mapping

from countersign.jsontext import parse
from countersign.masking.tokens import Mint
from countersign.masking.unmask import NotUnmaskable, Unmasked, argument_openings, unmasked
from countersign.recorder.tokens.ports import SealedToken, TokensFull
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.token_keys import TokenKeys, TokenOwner
from countersign.runtime.tokens import NotKept, NotPutBack, Unkept, VaultFull
from tests.support.memory_tokens import MemoryTokenStore


class MemoryVault:
    """See ``Vault``. ``store.away`` makes it fail."""

    def __init__(self, store: MemoryTokenStore | None = None, key: bytes = bytes(range(32))) -> None:
        self.store = store or MemoryTokenStore()
        self.keeps = 0
        self._keys = TokenKeys(key)

    def mint(self, owner: TokenOwner) -> Mint:
        """See ``Vault``."""
        return Mint(self._keys.of(owner).mint)

    async def keep(self, owner: TokenOwner, made: Mapping[str, str]) -> Unkept:
        """See ``Vault``."""
        self.keeps += 1
        keys = self._keys.of(owner)
        marks = {keys.mark(token): token for token in made}
        tokens = [
            SealedToken(keys.mark(token), keys.mark(value), keys.head_of(token), keys.seal(token, value))
            for token, value in made.items()
        ]
        try:
            kept = await self.store.keep(owner.session_id, tokens)
        except TokensFull:
            raise VaultFull("full") from None
        except DatabaseUnavailable:
            raise NotKept("away") from None
        echoes = {value for value in made.values() if keys.mark(value) in kept.echoes}
        return Unkept(frozenset(marks[mark] for mark in kept.taken), frozenset(echoes))

    async def put_back(self, owner: TokenOwner, body: bytes, *, max_depth: int) -> Unmasked:
        """See ``Vault``."""
        keys = self._keys.of(owner)
        document = parse(body, max_depth=max_depth)
        try:
            found = await self.store.find(owner.session_id, [keys.head(one) for one in argument_openings(document)])
            return unmasked(document, dict(map(keys.open, found)))
        except (NotUnmaskable, DatabaseUnavailable) as error:
            raise NotPutBack(str(error)) from None
