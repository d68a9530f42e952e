"""Credentials as the configuration holds them: what they are for, and a value that shows itself to nobody."""

from __future__ import annotations

import hmac
from enum import Enum, auto
from typing import NoReturn


class SecretUse(Enum):
    """What credentials are for; a service reads only those that it uses."""

    TARGETS = auto()
    POSTGRES = auto()
    APPROVALS = auto()
    EXPORTS = auto()
    PORTAL = auto()
    BRIDGE = auto()


ALL_SECRETS = frozenset(SecretUse)


class Secret:
    """A credential. It is compared in constant time, and shown, formatted, copied or pickled by nobody."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value: str | None = value

    @classmethod
    def unread(cls) -> Secret:
        """A credential that is stated, and that this process has no business to read."""
        secret = cls("")
        secret.__value = None
        return secret

    def reveal(self) -> str:
        """The credential itself: call it only where it is sent. Raises ``PermissionError`` for an unread one."""
        if self.__value is None:
            raise PermissionError("this process does not read credentials of this kind")
        return self.__value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self.__value is None or other.__value is None:
            return self is other
        mine, theirs = (secret.reveal().encode("utf-8", "surrogatepass") for secret in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither copied nor pickled")
