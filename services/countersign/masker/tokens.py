"""The tokens that answers show, and requests hand back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from countersign.masker.withheld import Withheld
from countersign.masking import MaskCatalog
from countersign.model.handoff import Handoff
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.token_keys import TokenOwner
from countersign.runtime.tokens import NotKept, NotPutBack, Vault, VaultFull

# A value draws eight times at most; then there are the tokens that a target sent back, and a session that is full.
_MOST_ROUNDS = 12

_T = TypeVar("_T")


class ShownTokens:
    """The tokens of one answer: durable before anything that holds them is released."""

    def __init__(self, vault: Vault, owner: TokenOwner) -> None:
        self._vault = vault
        self._owner = owner
        self.mint = vault.mint(owner)

    @classmethod
    def of(cls, vault: Vault | None, masks: MaskCatalog, handoff: Handoff) -> ShownTokens | None:
        """Return those of the answer to a judged call; ``None`` when its masks make none, or nobody keeps any.

        Raises ``Withheld`` for a mask that is unknown.
        """
        try:
            tokenizes = masks.tokenizes(handoff.masks)
        except KeyError as error:
            raise Withheld("the call's masks are not in the policy that judged it") from error
        return cls(vault, TokenOwner.of(handoff)) if vault is not None and tokenizes else None

    async def keep(self, mask: Callable[[], Awaitable[_T]]) -> _T:
        """Return what ``mask`` returns, once the tokens in it are kept; it may be called several times.

        Raises what it raises, and ``Withheld``.
        """
        for _ in range(_MOST_ROUNDS):
            self.mint.begin()
            masked = await mask()
            if not self.mint.made:
                return masked
            try:
                unkept = await self._vault.keep(self._owner, self.mint.made)
            except VaultFull:
                self.mint.close()
                continue
            except NotKept as error:
                raise Withheld(str(error)) from error
            if not unkept:
                return masked
            self.mint.avoid(unkept.taken, unkept.echoes)
        raise Withheld("the values of the answer find no tokens")


class HandedBack:
    """The tokens of one request; see ``masker.request.Tokens``."""

    def __init__(self, vault: Vault, rulebook: Rulebook) -> None:
        self._vault = vault
        self._rulebook = rulebook
        self.values: Mapping[str, str] = {}
        """What the target was handed for tokens, each with its token: its answer may repeat it."""

    async def put_back(self, handoff: Handoff, body: bytes) -> bytes:
        """Return the request with the values that the tokens in its arguments stand for. Raises ``Withheld``."""
        max_depth = self._rulebook.current.config.limits.json_depth
        try:
            found = await self._vault.put_back(TokenOwner.of(handoff), body, max_depth=max_depth)
        except NotPutBack as error:
            raise Withheld(str(error)) from error
        self.values = found.tokens
        return found.text.encode()
