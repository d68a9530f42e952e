"""Names that tell what the value beside them is, and values that stand where a secret would but are none."""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache

from countersign.masking.characters import fold
from countersign.masking.detectors.looks import is_digest_or_uuid, is_label, is_named_digest, is_placeholder, is_random


class Telling(Enum):
    """What a name announces."""

    PASSWORD = auto()
    SECRET = auto()
    TOKEN = auto()
    KEY = auto()
    """A key of some kind or credentials: often a secret, often the name of something."""
    BARE_KEY = auto()
    """Nothing but ``key``: a secret only if it looks like one and like nothing else."""


_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_PASSWORDS = (
    *("password", "passwd", "passphrase", "passcode", "pwd", "passwort", "kennwort", "contrasena", "senha"),
    *("motdepasse", "wachtwoord", "losenord", "adgangskode", "haslo"),
)
_PASSWORD_WORDS = frozenset({"pass", "pw", "psw", "pswd", "psk", "passwords"})
_PASSWORDS_ELSEWHERE = (
    *("пароль", "密码", "密碼", "口令", "パスワード", "비밀번호", "contraseña", "lösenord", "hasło", "şifre"),
)
_JOINED_PASS = frozenset(
    {
        "dbpass",
        "userpass",
        "smtppass",
        "mailpass",
        "mysqlpass",
        "pgpass",
        "adminpass",
        "rootpass",
        "keypass",
        "storepass",
    }
)
# Before ``pass`` where words are joined by capitals only: a FunctionPass is none.
_HAS_A_PASSWORD = frozenset(
    {
        *(
            "db",
            "database",
            "user",
            "smtp",
            "mail",
            "email",
            "ftp",
            "sftp",
            "ssh",
            "root",
            "admin",
            "my",
            "auth",
            "login",
        ),
        *("http", "proxy", "redis", "mongo", "mysql", "postgres", "pg", "ldap", "vpn", "wifi", "sudo", "key", "store"),
    }
)
_SECRETS = (
    *("secret", "secrets", "secretkey", "apikey", "apikeys", "apisecret", "accesskey", "secretaccesskey"),
    *("privatekey", "signingkey", "encryptionkey", "masterkey", "authkey", "accountkey", "sharedkey", "servicekey"),
    *(
        "secretkeybase",
        "sharedaccesskey",
        "sharedaccesssignature",
        "subscriptionkey",
        "hmackey",
        "sessionkey",
        "storagekey",
    ),
)
# An object of Kubernetes by its name, which holds the secret.
_NAMES_OF_SECRETS = ("existingsecret", "pullsecret", "pullsecrets")
_KEYS = ("key", "keys", "credential", "credentials", "creds", "cred", "auth", "authentication", "api", "sas", "access")
# Words of everyday that end like a key, and of which many a password is made.
_NO_KEYS = ("monkey", "turkey", "donkey", "hockey", "jockey", "whiskey", "mickey", "lackey")
_HARMLESS_TOKENS = (
    *("next", "page", "progress", "continuation", "sync", "cursor", "resume", "cancellation", "start", "end"),
    *("eos", "bos", "pad", "unk", "stop", "special", "mask", "sep", "cls", "max", "min", "num", "first", "last"),
    *("public", "paging", "pagination", "scroll", "watch", "position", "csrf", "xsrf"),
)
_HARMLESS_KEYS = (
    *("public", "pub", "publishable", "primary", "foreign", "cache", "partition", "sort", "row", "object", "unique"),
    *("idempotency", "routing", "group", "index", "lookup", "map", "translation", "message", "locale", "project"),
    *("issue", "ticket", "space", "host", "config", "setting", "property", "attribute", "label", "tag", "column"),
    *("field", "join", "shard", "bucket", "event", "order", "sequence", "lock", "dedup", "dedupe", "deduplication"),
    *("correlation", "trace", "hot", "arrow", "context", "schema", "sequence", "metric", "node", "entity", "parent"),
    *("resource", "item", "record", "document", "data", "file", "image", "artifact", "snapshot", "checksum", "hash"),
)
_SAYS_LITTLE = frozenset(
    {
        *("prod", "production", "dev", "development", "test", "testing", "stage", "staging", "qa", "live", "sandbox"),
        *("local", "value", "val", "text", "plain", "plaintext", "raw", "str", "string", "b64", "base64", "encoded"),
        *("default", "new", "old", "current", "previous", "confirm", "confirmation", "again", "repeat", "env", "var"),
        *("primary", "secondary", "main", "backup", "root", "admin", "header", "binary"),
    }
)
_LONGEST_NAME = 128


def classify(name: str) -> Telling | None:
    """Say what a key, variable or column name announces, however its words are joined; ``None`` for most."""
    return _classify(name[-_LONGEST_NAME:])


@lru_cache(maxsize=4_096)
def _classify(name: str) -> Telling | None:
    if not name.isascii():
        if name.casefold().endswith(_PASSWORDS_ELSEWHERE):
            return Telling.PASSWORD
        name = fold(name)
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and (words[-1] in _SAYS_LITTLE or words[-1].isdigit()):
        words.pop()
    if not words:
        return None
    plain = "".join(words)
    last = words[-1]
    if plain.endswith(_PASSWORDS) or plain in _JOINED_PASS:
        return Telling.PASSWORD
    if last in _PASSWORD_WORDS and (len(words) == 1 or "_" in name or "-" in name or words[-2] in _HAS_A_PASSWORD):
        return Telling.PASSWORD
    if plain.endswith(_SECRETS):
        return None if plain.endswith(_NAMES_OF_SECRETS) else Telling.SECRET
    if plain.endswith(("token", "tokens", "jwt", "bearer")):
        return None if plain.removesuffix("s").removesuffix("token").endswith(_HARMLESS_TOKENS) else Telling.TOKEN
    if plain in ("key", "auth", "api", "keys"):
        return Telling.BARE_KEY
    if plain.endswith(_NO_KEYS):
        return None
    if plain.endswith(_KEYS) or last == "pat":
        return None if plain.removesuffix("s").removesuffix("key").endswith(_HARMLESS_KEYS) else Telling.KEY
    return None


_SHORTEST_SECRET, _SHORTEST_TOKEN, _LONG_TOKEN = 4, 8, 20


def holds_secret(kind: Telling, value: str) -> bool:
    """Whether a value beside a telling name is to be taken for a secret, not for a placeholder or a description."""
    value = value.strip()
    if not value or is_placeholder(value):
        return False
    if kind is Telling.PASSWORD:
        return not is_label(value) and not (value.isdigit() and len(value) < _SHORTEST_SECRET)
    if kind is Telling.SECRET:
        return len(value) >= _SHORTEST_SECRET and not _is_prose(value)
    if any(character.isspace() for character in value):
        return False
    if kind is Telling.TOKEN:
        return not (value.isdigit() and len(value) < _LONG_TOKEN) and (
            len(value) >= _LONG_TOKEN
            or (len(value) >= _SHORTEST_TOKEN and any(character.isdigit() for character in value))
        )
    if kind is Telling.BARE_KEY and (
        "." in value or is_named_digest(value) or is_digest_or_uuid(value.rpartition("/")[2])
    ):
        return False
    return is_random(value)


def _is_prose(value: str) -> bool:
    words = value.split()
    return len(words) > 2 and not any(character.isdigit() for character in value)
