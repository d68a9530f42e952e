"""Credentials that a block of lines gives away: Kubernetes Secrets, scalars of YAML, .netrc, .pgpass and the like."""

from __future__ import annotations

import re
from bisect import bisect_right

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_basic, is_placeholder
from countersign.masking.detectors.secrets.part import Part
from countersign.masking.detectors.telling import classify

_KIND = Pattern(r"""(?:^|[\n{,"'])[ \t-]*["']?kind["']?[ \t]*:[ \t]*["']?(?:Sealed)?Secret\b""")
_DATA_KEYS = frozenset((b"data", b"stringData", b"binaryData"))
_ENTRY = re.compile(rb"""[ \t]*(?:-[ \t]+)?["']?([\w./-]{1,120})["']?[ \t]*:(?:[ \t]+(\S.*?))?\s*""")
_BLOCK = Pattern(r":[ \t]+[|>][-+0-9]{0,3}[ \t\r]{0,3}\n")
_BLOCK_STYLE = re.compile(rb"[|>][-+0-9]{0,3}")
_KINDS = Pattern(r'"kind"\s*:\s*"(\w+)"')
_DATA_OBJECT = Pattern(r'"(?:data|stringData)"\s*:\s*\{([^{}]+)\}')
_MEMBER = Pattern(r'"[\w./-]+"\s*:\s*"([^"\\\n]+)"')
_NEXT_KIND_BYTES = 64
_NETRC = Pattern(r"(?i)\b(?:machine\s+\S+|default)\s+login\s+\S+\s+password\s+(\S+)")
_PGPASS = Pattern(r"""(?:^|[\n"])(?:[\w.*-]+|\[[0-9a-f:]+\]):(?:[0-9]{2,5}|\*):[\w.*-]+:[\w.*@-]+:([^\s:"']{4,})""")
_DOCKER_AUTH = Pattern(r"""\\*["']_?auth\\*["']\s*:\s*\\*["']([A-Za-z0-9+/_-]{6,}={0,2})""")
_NPM_AUTH = Pattern(r"""(?:^|[:\n"])[ \t]*_auth\s*=\s*["']?([A-Za-z0-9+/_-]{6,}={0,2})""")


def find(data: bytes) -> list[Hit]:
    """Where such credentials stand."""
    found = _below_telling_keys(data) if _KIND.matches(data) or _BLOCK.matches(data) else []
    found += _data_of_secrets(data) if _KIND.matches(data) else []
    for pattern, why in (
        (_NETRC, ".netrc"),
        (_PGPASS, ".pgpass"),
        (_DOCKER_AUTH, "a registry"),
        (_NPM_AUTH, "a registry"),
    ):
        found += (
            Hit(*span, f"the password of {why}")
            for span in pattern.spans(data, 1)
            if not is_placeholder(data[slice(*span)].decode())
            and (pattern is not _DOCKER_AUTH or is_basic(data[slice(*span)]))
        )
    return found


def _below_telling_keys(data: bytes) -> list[Hit]:
    """Values of the data of Kubernetes Secrets, and scalars in block style (YAML 1.2, section 8.1) under telling keys.

    One pass over the lines: what a line belongs to is told by its indentation.
    """
    found: list[Hit] = []
    secret = _KIND.matches(data)
    data_indent = scalar_indent = -1
    scalar_is_secret = False
    offset = 0
    for line in data.splitlines(keepends=True):
        text = line.strip()
        indent = len(line) - len(line.lstrip(b" \t"))
        if text and indent <= scalar_indent:
            scalar_indent = -1
        if text and indent <= data_indent:
            data_indent = -1
        if not text or text.startswith(b"#"):
            pass
        elif scalar_indent >= 0:
            if scalar_is_secret and not is_placeholder(text.decode()):
                found.append(Hit(offset + indent, offset + indent + len(text), "a line below a telling key"))
        elif (entry := _entry(line)) is not None:
            key, value = entry[1], entry[2] or b""
            if _BLOCK_STYLE.fullmatch(value) is not None:
                scalar_indent, scalar_is_secret = indent, data_indent >= 0 or classify(key.decode()) is not None
            elif data_indent >= 0 and value and not is_placeholder(value.strip(b"\"'").decode()):
                found.append(Hit(offset + entry.start(2), offset + entry.end(2), "the data of a Kubernetes Secret"))
            elif secret and not value and key in _DATA_KEYS:
                data_indent = indent
        offset += len(line)
    return found


def _data_of_secrets(data: bytes) -> list[Hit]:
    """The members of ``data`` and ``stringData`` in JSON; of which kind an object is stands behind them or before."""
    kinds = [(start, end, data[slice(*kind)] == b"Secret") for (start, end), kind in _KINDS.groups(data)]
    starts = [start for start, _, _ in kinds]
    found: list[Hit] = []
    for (_, block_end), (start, end) in _DATA_OBJECT.groups(data):
        following = bisect_right(starts, block_end)
        near = following < len(kinds) and starts[following] - block_end < _NEXT_KIND_BYTES
        behind = near and b"{" not in data[block_end : starts[following]]
        nearest = following if behind else following - 1
        if nearest >= 0 and kinds[nearest][2]:
            found += (
                Hit(start + first, start + last, "the data of a Kubernetes Secret")
                for first, last in _MEMBER.spans(data[start:end], 1)
                if not is_placeholder(data[start + first : start + last].decode())
            )
    return found


def _entry(line: bytes) -> re.Match[bytes] | None:
    """A key and its value; the first line of a text that stands in JSON begins behind the mark that opens the text."""
    return (_ENTRY.fullmatch(line, line.rfind(b'"') + 1) if b'"' in line else None) or _ENTRY.fullmatch(line)


PART = Part(
    find,
    gate=(
        r"kind[\x22']?:[ \t]*[\x22']?(?:Sealed)?Secret",
        r":[ \t]+[|>][-+0-9]{0,3}[ \t\r]{0,3}\n",
        r"(?i)login\s+\S{1,200}\s+password",
        r":(?:[0-9]{2,5}|\*):[\w.*-]{1,80}:[\w.*@-]{1,80}:",
        r"_?auth[\\\x22']{1,4}\s{0,4}:",
        r"_auth\s{0,4}=",
    ),
)
