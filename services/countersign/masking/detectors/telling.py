"""Names that tell what the value beside them is, and values that stand where a secret would but are none."""

from __future__ import annotations

import re
from enum import Enum, auto


class Telling(Enum):
    """What a name announces."""

    PASSWORD = auto()
    SECRET = auto()
    TOKEN = auto()


_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")
_PASSWORDS = ("password", "passwd", "passphrase", "passcode", "pwd")
_SHORT_PASSWORDS = frozenset({"pass", "dbpass", "userpass", "smtppass", "mailpass", "mysqlpass", "pgpass", "adminpass"})
_SECRETS = (
    "secret",
    "secrets",
    "secretkey",
    "apikey",
    "apisecret",
    "accesskey",
    "secretaccesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "authkey",
    "accountkey",
    "sharedkey",
    "servicekey",
)
_HARMLESS_TOKENS = (
    *("next", "page", "progress", "continuation", "sync", "cursor", "resume", "cancellation", "start", "end"),
    *("eos", "bos", "pad", "unk", "stop", "special", "mask", "sep", "cls", "max", "min", "num", "first", "last"),
)
_LONGEST_NAME = 128


def classify(name: str) -> Telling | None:
    """Say what a key or variable name announces; ``None`` for most."""
    if len(name) > _LONGEST_NAME:
        name = name[-_LONGEST_NAME:]
    plain = _NOT_A_LETTER.sub("", name.lower())
    if plain.endswith(_PASSWORDS) or plain in _SHORT_PASSWORDS:
        return Telling.PASSWORD
    if plain.endswith(_SECRETS):
        return Telling.SECRET
    if plain.endswith("token") and not plain[: -len("token")].endswith(_HARMLESS_TOKENS):
        return Telling.TOKEN
    return None


_PLACEHOLDER = re.compile(
    r"""(?isx)
    [<\[(].*[>\])] | \$\{.*\} | \$\(.*\) | (?-i:\$[A-Z_][A-Z0-9_]*) | %\w+% | \{\{.*\}\} | \#\{.*\}
    | [*.•_-]+ | [*x.•_-]{3,} | <[a-z_-]+
    | (?:none|null|nil|undefined|true|false|empty|unset|required|optional|missing|disabled|enabled|default|n/a)
    | (?:string|str|text|varchar|bytes|integer|int|object|boolean|bool|secretstr|any)\??
    | (?:password|passwd|secret|token|api[_-]?key)s?
    | (?:redacted|masked|hidden|removed|changeme|change[_-]me|placeholder|todo|tbd|dummy)
    | (?:your|insert|enter|replace|example)[_ -].*
    | (?:os\.|process\.env|env\.|env\[|getenv|config\.|settings\.|self\.|this\.|args\.|options\.|params\.|vault:|ssm:).*
    """
)
_LONGEST_PLACEHOLDER = 200
_SHORTEST_SECRET, _SHORTEST_TOKEN, _LONG_TOKEN = 4, 8, 20


def holds_secret(kind: Telling, value: str) -> bool:
    """Whether a value beside a telling name is to be taken for a secret, not for a placeholder or a description."""
    value = value.strip()
    if not value or (len(value) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(value) is not None):
        return False
    if kind is Telling.PASSWORD:
        return True
    if kind is Telling.SECRET:
        return len(value) >= _SHORTEST_SECRET and not _is_prose(value)
    has_blank = any(character.isspace() for character in value)
    long_enough = len(value) >= _SHORTEST_TOKEN and any(character.isdigit() for character in value)
    return not has_blank and not value.isdigit() and (long_enough or len(value) >= _LONG_TOKEN)


def _is_prose(value: str) -> bool:
    words = value.split()
    return len(words) > 2 and not any(character.isdigit() for character in value)
