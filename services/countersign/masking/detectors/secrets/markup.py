"""Values of telling names in markup and in pairs of a name and a value: XML, Kubernetes, Docker, plists."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.secrets.assignments import QUOTED, assigned
from countersign.masking.detectors.secrets.part import Part

_WORD = r"(?:pass|pwd|pw\b|psk\b|secret|token|key|cred|auth|jwt)"
_NAME = rf"([a-z0-9_.:-]*{_WORD}[a-z0-9_.:-]{{0,24}})"
_NAME_KEY = r"(?:name|key|id|field|variable|param|parameter|parameterkey|option|header|envvar)"
_VALUE_KEY = r"(?:value|val|content|parametervalue|stringvalue|string_value|data|default)"

_PAIR = Pattern(
    rf"""(?i)\b{_NAME_KEY}["']?\s{{0,4}}[:=]\s{{0,4}}["']?{_NAME}["']?[\s,;]{{1,40}}"""
    rf"""(?:["']?[a-z_]{{1,20}}["']?\s{{0,4}}[:=]\s{{0,4}}["']?[a-z0-9_.-]{{0,40}}["']?[\s,;]{{1,40}}){{0,2}}["']?{_VALUE_KEY}["']?\s{{0,4}}[:=]\s{{0,4}}(?:{QUOTED}|([^\s"'\x60<>]+))"""
)
_REVERSED = Pattern(
    rf"""(?i)\b{_VALUE_KEY}["']?\s{{0,4}}[:=]\s{{0,4}}(?:"([^"\n]*)"|'([^'\n]*)')[\s,;]{{1,40}}["']?"""
    rf"""{_NAME_KEY}["']?\s{{0,4}}[:=]\s{{0,4}}["']?{_NAME}"""
)
_TERRAFORM = Pattern(rf"""(?i)\bvariable\s+"{_NAME}"\s*\{{[^{{}}]{{0,400}}?\bdefault\s*=\s*"([^"\n]*)\"""")
_ELEMENT = Pattern(rf"(?i)<{_NAME}(?:\s+[\w:.-]+=[^<>]*)?>(?:\s*<!\[CDATA\[)?\s*([^<>\s](?:[^<>\n]*[^<>\s])?)\s*<")
_NAMED_ELEMENT = Pattern(
    rf"""(?i)<[a-z][a-z0-9_.:-]*\s[^<>]{{0,200}}?\b(?:name|key|id)=["']{_NAME}["'][^<>]*>(?:\s*<(?:value|string)>)?\s*"""
    r"""([^<>\s](?:[^<>]*[^<>\s])?)\s*<"""
)
_PLIST = Pattern(rf"(?i)<key>\s*{_NAME}\s*</key>\s*<string>\s*([^<>\s](?:[^<>]*[^<>\s])?)\s*<")


def find(data: bytes) -> list[Hit]:
    """Where such values stand."""
    found: list[Hit] = []
    for _, name, *quoted, bare in _PAIR.groups(data):
        found += assigned(data, name, max(quoted), bare)
    for _, double_quoted, single_quoted, name in _REVERSED.groups(data):
        found += assigned(data, name, max(double_quoted, single_quoted))
    for pattern in (_ELEMENT, _NAMED_ELEMENT, _PLIST, _TERRAFORM):
        for _, name, value in pattern.groups(data):
            found += assigned(data, name, value)
    return found


PART = Part(
    find,
    gate=(
        rf"(?i)<[a-z0-9_.:-]*{_WORD}",
        rf"(?i)variable\s+\x22[a-z0-9_.:-]*{_WORD}",
        rf"(?i)<key>\s*[a-z0-9_.:-]*{_WORD}",
        rf"""(?i){_NAME_KEY}["']?\s{{0,4}}[:=]\s{{0,4}}["']?[a-z0-9_.:-]*{_WORD}""",
    ),
)
