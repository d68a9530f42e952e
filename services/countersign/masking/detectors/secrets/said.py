"""Passwords that are said, in prose of many languages and in statements of SQL, and keys and tokens in English."""

from __future__ import annotations

import re
from collections.abc import Iterator

from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.detectors.secrets.assignments import mixes, trim, with_marks
from countersign.masking.detectors.secrets.part import Part
from countersign.masking.detectors.telling import Telling, classify, holds_secret


def _either_case(word: str) -> str:
    """A word in either case, as RE2 and hyperscan read alike; a blank stands for some."""
    return "".join(
        r"[ \t]{1,3}"
        if letter == " "
        else letter
        if letter.lower() == letter.upper()
        else f"[{letter.lower()}{letter.upper()}]"
        if letter.isascii()
        else f"(?:{letter.lower()}|{letter.upper()})"
        for letter in word
    )


_WORDS = "|".join(
    _either_case(word)
    for word in (
        *("password", "passphrase", "passcode", "passwd", "pwd", "passwort", "kennwort", "mot de passe", "mdp"),
        *("contraseña", "contrasena", "clave de acceso", "clave secreta", "senha", "palavra-passe", "wachtwoord"),
        *("lösenordet", "lösenord", "passordet", "passord", "adgangskoden", "adgangskode", "salasana", "hasło"),
        *("haslo", "heslo", "jelszó", "jelszo", "parola", "şifreniz", "şifre", "sifre", "lozinka", "пароль"),
        *("κωδικός", "密码", "密碼", "口令", "パスワード", "비밀번호", "mật khẩu", "kata sandi"),
    )
)
_FOR_WHAT = r"(?:for|on|in|of|für|auf|zu|zum|pour|de|du|del|para|per|di|do|da|voor|för|til|till|dla|для|от)"
_VERBS = (
    r"(?:is|was|has|been|now|just|still|reset|changed|set|updated|to|ist|lautet|wurde|jetzt|es|era|ahora|est|"
    r"maintenant|è|é|foi|agora|luidt|nu|är|er|on|jest|teraz|je|это|теперь|είναι)"
)
# Two colons, dashes of two lengths, and the quotation marks of many languages.
_COLON = r"[:\x{ff1a}]"
_SIGN = rf"(?:{_COLON}|=|[\x{{2013}}\x{{2014}}-][ \t]|是|为|為|は|는|은)"
_MARK = r"[\x22'\x60\x{201c}\x{201e}\x{2018}\x{201a}«]"
_VALUE = r"([!-~]{6,128})"
_WORD = Pattern(rf"(?:{_WORDS})")
# Behind the word: what it is the password of, and that it is the following; one of verb and sign must be there.
_SAID = Pattern(
    rf"(?:[ \t]{{1,3}}{_FOR_WHAT}(?:[ \t][^\s:=,;!?()]+){{1,3}}?)?"
    rf"(?:(?:[ \t]{{1,3}}(?i:{_VERBS})){{1,4}}(?:[ \t]{{0,3}}{_COLON}[ \t]{{0,3}}|[ \t]{{1,3}})"
    rf"|[ \t]{{0,3}}{_SIGN}[ \t]{{0,3}}){_MARK}?[ \t]?{_VALUE}"
)
_REACH_BYTES = 320
# A label and, on the next line, nothing but the value.
_BELOW = Pattern(rf"(?:{_WORDS})[ \t]{{0,3}}{_COLON}[ \t]{{0,3}}\r?\n[ \t]{{0,16}}{_VALUE}[ \t]{{0,3}}(?:\r?\n|$)")
_SAYING = r"\b(?:password|passphrase|passcode|passwd|pwd|pw|api key|access key|secret key|token|secret)"
_PURPOSE = r"(?:\s+(?:for|of|to)(?:\s[^\s:=]{1,24}){1,3}?)?"
_IN_ENGLISH = Pattern(rf"""(?i){_SAYING}{_PURPOSE}\s+(?:is|was|are|of|as)[\s:]{{1,3}}["'\x60]?([^\s"'\x60]{{6,}})""")
_WORD_BEFORE = r"\b(?:password|passphrase|passcode|passwd|identified(?: with [a-z0-9_]{1,40})? by(?: password)?)"
_FOLLOWING = Pattern(rf"""(?i){_WORD_BEFORE}\s{{1,4}}(["'\x60]?)([^\s"'\x60]{{4,}})""")
_TECHNICAL = re.compile(
    r"(?i)(?:sha|md|base|utf|aes|rsa|argon|pbkdf|oauth|tls|v)-?[0-9].*|[0-9]{1,3}-[a-z]+|1password.*"
)


def find(data: bytes) -> list[Hit]:
    """Where they stand."""
    found: list[Hit] = []
    for span in (*_after_words(data), *_BELOW.spans(data, 1)):
        # What opens with a quotation mark ends with one.
        start, end = trim(data, _unquoted(data, span))
        value = data[start:end].decode()
        if _can_be_password(value) and holds_secret(Telling.PASSWORD, value):
            found.append(Hit(start, with_marks(data, end, span[1]), "said to be a password"))
    for span in _IN_ENGLISH.spans(data, 1):
        start, end = trim(data, span)
        value = data[start:end].decode()
        technical = _TECHNICAL.fullmatch(value) is not None
        if any(map(str.isdigit, value)) and not technical and holds_secret(Telling.PASSWORD, value):
            found.append(Hit(start, end, "said to be a password, key or token"))
    for _, (quote_start, quote_end), span in _FOLLOWING.groups(data):
        quoted = quote_end > quote_start
        start, end = span if quoted else trim(data, span)
        value = data[start:end].decode()
        if holds_secret(Telling.PASSWORD, value) and (quoted or mixes(value)):
            found.append(Hit(start, end, "follows the word password"))
    return found


def _after_words(data: bytes) -> Iterator[ByteSpan]:
    for _, end in _WORD.spans(data):
        value = _SAID.group_of_match(data, end, min(end + _REACH_BYTES, len(data)))
        if value is not None:
            yield value


def _can_be_password(value: str) -> bool:
    """Whether a word is none of a sentence or of a technique's, and no assignment of its own."""
    name, equals, _ = value.partition("=")
    return mixes(value) and _TECHNICAL.fullmatch(value) is None and not (equals and classify(name) is not None)


def _unquoted(data: bytes, span: ByteSpan) -> ByteSpan:
    start, end = span
    for mark in b"\"'`":
        at = data.find(mark, start, end)
        if at >= 0:
            end = at
    return start, end


PART = Part(
    find,
    gate=(
        rf"(?:{_WORDS})",
        rf"(?i){_SAYING}\s+(?:is|was|are|of|as|for|to)[\s:]",
        rf"(?i){_WORD_BEFORE}\s{{1,4}}[\x22'\x60]?[^\s\x22'\x60]{{4,}}",
    ),
)
