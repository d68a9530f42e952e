"""The tokens of one session: the same value has the same one, nobody else's has it, and none can be foretold.

A token is drawn (HMAC-SHA-256 in counter mode, as the KDF of NIST SP 800-108) from the session's own key and the value,
so that no part that makes tokens has to remember any. Two values may meet in one token: whoever keeps tokens notices,
and one of them draws again.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterator

from countersign.masking.shapes import MAIL, OPAQUE, Draw, like_number, like_text

MOST_TOKENS = 10_000
"""How many values of one piece of an answer can have tokens; the others are redacted."""

LONGEST_VALUE_BYTES = 2_048
"""A value that is longer in UTF-8 can have none."""

_MOST_DRAWS = 8


class Mint:
    """Makes tokens, and knows those that it made since ``begin``. A mint is used by one thread at a time.

    ``key`` is the session's: secret, at least 32 bytes, and no other session's.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._made: dict[str, str] = {}
        self._tokens: dict[tuple[str, bool], str | None] = {}
        # Tokens that other values of the session have, and values that are tokens themselves.
        self._taken: set[str] = set()
        self._echoes: set[str] = set()
        self._closed = False

    @property
    def made(self) -> dict[str, str]:
        """The tokens made since ``begin``, each with its value."""
        return self._made

    def begin(self) -> None:
        """Forget what was made; the tokens and values that are not to be had stay known."""
        self._made = {}
        self._tokens = {}

    def avoid(self, taken: Collection[str], echoes: Collection[str]) -> None:
        """Give none of ``taken`` to any value again, and let ``echoes`` stand: they are tokens of this session."""
        self._taken.update(taken)
        self._echoes.update(echoes)

    def close(self) -> None:
        """Make no more tokens: values are redacted from now on."""
        self._closed = True

    def text(self, value: str) -> str | None:
        """See ``Minter``."""
        return self._token(value, is_number=False)

    def number(self, literal: str) -> str | None:
        """See ``Minter``."""
        return self._token(literal, is_number=True)

    def knows(self, text: str) -> bool:
        """See ``Minter``."""
        return text in self._made or text in self._echoes

    def _token(self, value: str, *, is_number: bool) -> str | None:
        key = (value, is_number)
        if key not in self._tokens:
            self._tokens[key] = self._drawn(value, is_number=is_number)
        return self._tokens[key]

    def _drawn(self, value: str, *, is_number: bool) -> str | None:
        data = value.encode("utf-8", "surrogatepass")
        if self._closed or len(self._made) >= MOST_TOKENS or len(data) > LONGEST_VALUE_BYTES:
            return None
        for attempt in range(_MOST_DRAWS):
            draw = _drawing(self._key, b"%d %d %s" % (attempt, is_number, data))
            token = like_number(value, draw) if is_number else like_text(value, draw)
            if token is None:
                return None
            if token != value and token not in self._taken and self._made.get(token, value) == value:
                self._made[token] = value
                return token
        return None


class Known:
    """Knows the tokens that a mint made, and makes none: for the record, which holds what the caller sees."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint

    def text(self, value: str) -> str | None:
        """See ``Minter``."""
        return None

    def number(self, literal: str) -> str | None:
        """See ``Minter``."""
        return None

    def knows(self, text: str) -> bool:
        """See ``Minter``."""
        return self._mint.knows(text)


class ByForm:
    """Knows tokens by the form that no value has (mail addresses of theirs, and opaque ones), and makes none.

    For requests: those that judge them cannot ask which tokens a session has.
    """

    def text(self, value: str) -> str | None:
        """See ``Minter``."""
        return None

    def number(self, literal: str) -> str | None:
        """See ``Minter``."""
        return None

    def knows(self, text: str) -> bool:
        """See ``Minter``."""
        return MAIL.fullmatch(text) is not None or OPAQUE.fullmatch(text) is not None


def _drawing(key: bytes, value: bytes) -> Draw:
    numbers = _numbers(key, value)

    def draw(below: int) -> int:
        # A number has 64 bits: the chances of all results differ by less than one in 2 to the 50.
        return next(numbers) % below

    return draw


def _numbers(key: bytes, value: bytes) -> Iterator[int]:
    block = 0
    while True:
        digest = hmac.digest(key, b"%d:%s" % (block, value), "sha256")
        for at in range(0, 32, 8):
            yield int.from_bytes(digest[at : at + 8])
        block += 1
