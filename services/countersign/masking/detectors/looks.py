"""What a value looks like by itself: drawn at random, or a placeholder, a description, a digest."""

from __future__ import annotations

import base64
import binascii
import re

_LONGEST_PLACEHOLDER = 200
_LONGEST_LOOKED_AT = 512

_PLACEHOLDER = re.compile(
    r"""(?isx)
    [<\[(].*[>\])] | \$\{.*\}? | \$\(.*\)? | (?-i:\$[A-Z_][A-Z0-9_]*) | \$\d+ | %\w+% | %\(\w+\)s | %[sdv]
    | \{\{.*\}?\}? | \#\{.*\} | \{[\w.:-]*\} | @\w+@ | __\w+__
    | [\W_]{1,2} | [0-9] | [*.•…_#-]+ | [*x.•_-]{3,} | .*\[(?:redacted|masked|hidden|removed|filtered)\] | <[a-z_-]+
    | (?:none|null|nil|undefined|true|false|yes|no|empty|unset|set|unknown|required|optional|missing|disabled|enabled|
        minimum|m[ií]nimo|mindestens|
        default|n/a|na|tbd|todo|nan)
    | (?:string|str|text|varchar|bytes|integer|int|number|object|array|list|dict|boolean|bool|secretstr|any|password|
        char|optional\[\w+\])(?:\?|\[\])?
    | (?:password|passwd|pwd|pass|secret|token|key|credential|api[_-]?key)s?
    | (?:redacted|masked|hidden|removed|filtered|changeme|change[_-]me|changeit|replaceme|replace[_-]me|placeholder|
        dummy|sample|example|fixme)
    | (?:my[_ -]?|the[_ -]?|db[_ -]?)?(?:password|passwd|secret|token|api[_-]?key|key|value)[_ -](?:goes[_ -])?here
    | (?:your|insert|enter|replace|example|changeme|todo|fixme)[_ -].*
    | (?:os\.|process\.env|env\.|env\[|env:|getenv|config\.|settings\.|self\.|this\.|args\.|options\.|params\.|props\.|
        data\.|var\.|local\.|module\.|secrets\.|vault:|ssm:|op://|awssm:|gcpsm:|keyvault:|secretref:|file:|arn:aws:|
        !ref|!sub|!secret|!vault|enc\[).*
    | /(?:run|etc|var|home|tmp|opt|usr|secrets|mnt)/.*
    | .*(?-i:EXAMPLE(?:KEY)?)
    """
)
_SAME = re.compile(r"(.)\1*")


def is_placeholder(value: str) -> bool:
    """Whether a value only marks the place of another: ``<token>``, ``${VAR}``, ``xxxx``, ``changeme``, a reference."""
    if len(value) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(value) is not None:
        return True
    return (len(value) > 3 and _SAME.fullmatch(value) is not None) or "xxxxxxxx" in value.lower()


_SAYS_PASSWORD = re.compile(
    r"(?i)\b(?:passwords?|passphrases?|passcodes?|passwor[td]e?s?|kennwort|mot de passe|contraseña|contrasena|senha"
    r"|wachtwoord|lösenord|adgangskode|parola|hasło|пароль)\b|パスワード|密码|密碼|비밀번호"
)


def is_label(value: str) -> bool:
    """Whether a text is what a form says of a password (``Enter your password``), in many languages."""
    if len(value) > _LONGEST_PLACEHOLDER or any(map(str.isdigit, value)) or (value.isascii() and " " not in value):
        return False
    return _SAYS_PASSWORD.search(value) is not None


_DIGEST = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_DIGEST_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def is_digest_or_uuid(value: str) -> bool:
    """Whether a value has exactly the form of a UUID or of a digest in hexadecimal digits (MD5 to SHA-512)."""
    return _UUID.fullmatch(value) is not None or (
        len(value) in _DIGEST_LENGTHS and _DIGEST.fullmatch(value) is not None
    )


_NAMED = re.compile(r"(?:[a-z]+[0-9]{0,3}-){2,}", re.IGNORECASE)


def is_named_digest(value: str) -> bool:
    """Whether it is some words and a digest, as keys of caches are (``linux-node-93ef4c0b...``)."""
    words, dash, last = value.rpartition("-")
    return is_digest_or_uuid(last) and _NAMED.fullmatch(words + dash) is not None


def is_basic(value: bytes) -> bool:
    """Whether it is Base64 of printable text with a colon in it: a user and a password (RFC 7617)."""
    bare = value.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        decoded = base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded and decoded.isascii() and decoded.decode().isprintable()


_SEGMENT = re.compile(r"[A-Za-z0-9]+")
_TURN = re.compile(r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
_VOWELS = re.compile(r"[aeiouAEIOU]")
_DIGITS = re.compile(r"[0-9]")
_MARK = re.compile(r"[!#$%&*@^~?;]")
_SHORTEST_SEGMENT = 8


def is_random(value: str, shortest: int = 12) -> bool:
    """Whether a value looks drawn at random rather than written: letters and digits in a disorder no name has.

    ``shortest`` is how many characters of disorder it must have. Names of machines, paths, dates and versions are not
    random, UUIDs and digests are.
    """
    value = value[:_LONGEST_LOOKED_AT]
    segments = _SEGMENT.findall(value)
    disorder = sum(len(segment) for segment in segments if len(segment) >= _SHORTEST_SEGMENT and _disordered(segment))
    if disorder >= shortest:
        return True
    marks = len(_MARK.findall(value))
    if marks >= 4 and len(value) >= max(shortest, 16) and len(_DIGITS.findall(value)) >= 2:
        return True
    # Groups as in licence keys and UUIDs: each with digits, and disordered together.
    if (
        len(segments) > 1
        and value.count("-") == len(segments) - 1
        and all(4 <= len(segment) <= 16 for segment in segments)
    ):
        joined = "".join(segments)
        words = any(segment.isalpha() and (len(segment) > 4 or not _DIGEST.fullmatch(segment)) for segment in segments)
        return len(joined) >= shortest and not words and _disordered(joined)
    return False


def _disordered(segment: str) -> bool:
    size = len(segment)
    digits = len(_DIGITS.findall(segment))
    if digits == size:
        return size >= 20
    letters = size - digits
    few_vowels = len(_VOWELS.findall(segment)) < 0.29 * letters
    if not digits:
        return size >= 20 and (few_vowels or _DIGEST.fullmatch(segment) is not None)
    turns = len(_TURN.findall(segment))
    if turns >= 3:
        return size >= 10 or (turns >= 4 and digits >= 3)
    if size >= 16 and turns == 2:
        return few_vowels or digits >= 4
    if size in _DIGEST_LENGTHS and _DIGEST.fullmatch(segment) is not None:
        return True
    if size >= 16 and digits >= 3:
        return few_vowels or size >= 24 or _DIGEST.fullmatch(segment) is not None
    return size >= 20 and digits >= 2 and few_vowels
