"""Values that a statement or a call sets beside a telling name, without a sign between: ``ENV NAME value``."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_random
from countersign.masking.detectors.secrets.assignments import QUOTED, assigned, mixes
from countersign.masking.detectors.secrets.part import Part
from countersign.masking.detectors.telling import Telling, holds_secret

_TELLING = r"(?:pass|pwd|pw\b|psk|secret|token|key|cred|auth|jwt)"
_NAME = rf"([a-zA-Z0-9_.:-]*(?i:{_TELLING})[a-zA-Z0-9_.:-]{{0,24}})"
# Dockerfiles, shells of Windows, servers of HTTP, and tools that keep settings.
_STATEMENT = (
    r"(?:\bENV|\bARG|\bsetx|\b(?:Pass|Set)Env|\b(?:proxy_set|add|more_set)_headers?|\b(?:fastcgi|uwsgi)_param|"
    r"\bset -g?x|\bset -Ux|\bconfig(?:ure)? set|\buser-secrets set|\bgit config(?: --global)?)"
)
_FUNCTION = (
    r"\b(?:define|putenv|[sS]et[eE]nv|setdefault|setProperty|SetEnvironmentVariable|setSetting|addHeader|setHeader)"
)
_CREDENTIALS = (
    r"(?:\b(?i:auth)\s{0,4}=\s{0,4}|\b(?:HTTPBasicAuth|HTTPDigestAuth|BasicAuth|basic_auth|basicAuth|SetBasicAuth|"
    r"setBasicAuth|login|withCredentials|UsernamePasswordCredentials|NetworkCredential))"
)
# Behind a quotation mark a comma may have been made the end of a line.
_COMMA = r"\s{0,4}[,\n]\s{0,8}"
_SET = Pattern(rf"""{_STATEMENT}\s{{1,4}}["']?{_NAME}["']?[ \t]{{1,8}}(?:{QUOTED}|([^\s"'\x60]+))""")
_CALL = Pattern(rf"""{_FUNCTION}\(\s{{0,8}}["']{_NAME}["']{_COMMA}[a-z@]{{0,2}}(?:{QUOTED})""")
_PAIR = Pattern(rf"""{_CREDENTIALS}\(\s{{0,8}}["'][^"'\n]{{1,120}}["']{_COMMA}[a-z@]{{0,2}}(?:{QUOTED})""")
_OPENING = r"<(?:t[hd]|dt|label|b|strong)\b[^<>]{0,120}>\s{0,16}"
# A row of two cells, or a term and its definition.
_CELL = Pattern(
    rf"(?i){_OPENING}([a-z0-9_. -]{{0,40}}{_TELLING}[a-z]{{0,12}})"
    r"\s{0,4}:?\s{0,16}</[a-z]{1,6}>\s{0,16}:?\s{0,4}"
    r"<(?:td|dd|span|code)\b[^<>]{0,120}>\s{0,16}(?:<code>)?([^<>\s]{6,})"
)


def find(data: bytes) -> list[Hit]:
    """Where such values stand."""
    found: list[Hit] = []
    for _, name, *quoted, bare in _SET.groups(data):
        if max(quoted)[0] >= 0 or _is_no_word(data[slice(*bare)].decode()):
            found += assigned(data, name, max(quoted), bare)
    for _, name, *quoted in _CALL.groups(data):
        found += assigned(data, name, max(quoted))
    for _, *quoted in _PAIR.groups(data):
        start, end = max(quoted)
        value = data[start:end].decode()
        if _is_no_word(value) and holds_secret(Telling.PASSWORD, value):
            found.append(Hit(start, end, "stands beside a user's name"))
    for _, name, cell in _CELL.groups(data):
        if _is_no_word(data[slice(*cell)].decode()):
            found += assigned(data, name, cell)
    return found


def _is_no_word(value: str) -> bool:
    return mixes(value) or is_random(value)


PART = Part(
    find,
    gate=(
        rf"{_STATEMENT}\s{{1,4}}[\x22']?[a-zA-Z0-9_.:-]*(?i:{_TELLING})",
        rf"{_FUNCTION}\(\s{{0,8}}[\x22'][a-zA-Z0-9_.:-]*(?i:{_TELLING})",
        rf"{_CREDENTIALS}\(\s{{0,8}}[\x22']",
        rf"(?i){_OPENING}[a-z0-9_. -]{{0,40}}{_TELLING}",
    ),
)
