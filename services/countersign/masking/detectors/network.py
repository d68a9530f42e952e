"""Addresses of machines: IPv4, IPv6 and MAC."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from countersign.masking.detectors.base import Detector, Hit, Pattern
from countersign.masking.detectors.beside import names_something_else

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_HEXTETS = r"(?:[0-9A-Fa-f]{1,4}:)"
# Eight groups, or fewer with a gap; the last two may be written as IPv4.
_IPV6_FULL = rf"{_HEXTETS}{{7}}[0-9A-Fa-f]{{1,4}}|{_HEXTETS}{{6}}{_IPV4}"
_IPV6_GAP = rf"{_HEXTETS}{{0,6}}[0-9A-Fa-f]{{0,4}}::(?:[0-9A-Fa-f]{{1,4}}:){{0,6}}(?:{_IPV4}|[0-9A-Fa-f]{{0,4}})"
_ZONE_AND_PREFIX = r"(?:%[0-9A-Za-z]{1,15})?(?:/[0-9]{1,3}\b)?"
_MAC_COLONS = r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"
_MAC_DASHES = r"(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}"
_MAC_CISCO = r"(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
_BUILD = re.compile(rb"[ \t]{0,2}[(,]?(?i:build|release|rev)\b")
_NOBODYS_MACS = frozenset({"0" * 12, "f" * 12})


class IpAddress:
    """Detects addresses, with the prefix length or zone that may follow.

    Not those that are nobody's and stand in every other log: 0.0.0.0, 127.0.0.0/8 and 255.255.255.255. Private ones
    count: they lead to a person as well. What is named a version is none.
    """

    label = "IP_ADDRESS"

    def __init__(self) -> None:
        self.parts: tuple[Detector, ...] = (
            _Ipv4(),
            _Ipv6(_IPV6_FULL, has_gap=False),
            _Ipv6(_IPV6_GAP, has_gap=True),
        )

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [hit for part in self.parts for hit in part.find(data)]


class _Ipv4:
    label = IpAddress.label
    shape = _IPV4

    def __init__(self) -> None:
        self._pattern = Pattern(rf"{_IPV4}(?:/[0-9]{{1,2}}\b)?")

    def find(self, data: bytes) -> list[Hit]:
        found: list[Hit] = []
        for start, end in self._pattern.spans(data):
            if _goes_on(data, start, end, b"."):
                continue
            address = IPv4Address(data[start:end].partition(b"/")[0].decode())
            nobodys = address.is_loopback or address.is_unspecified or int(address) == 0xFFFFFFFF
            # As in "17.14.64.47 (build 4759)".
            is_version = _BUILD.match(data, end) is not None
            if not nobodys and not is_version and not names_something_else(data, start):
                found.append(Hit(start, end, "four octets"))
        return found


class _Ipv6:
    label = IpAddress.label

    def __init__(self, pattern: str, *, has_gap: bool) -> None:
        self._pattern = Pattern(rf"(?:{pattern}){_ZONE_AND_PREFIX}")
        self.gate = ("::",) if has_gap else ()
        self.shape = "" if has_gap else pattern

    def find(self, data: bytes) -> list[Hit]:
        return [
            Hit(start, end, "hexadecimal groups and colons")
            for start, end in self._pattern.spans(data)
            if not _goes_on(data, start, end, b":")
            and not _is_slice(data, start, end)
            and _is_ipv6(data[start:end].partition(b"/")[0].decode())
        ]


class MacAddress:
    """Detects hardware addresses of six octets; runs of more are fingerprints."""

    label = "MAC_ADDRESS"
    shape = f"{_MAC_COLONS}|{_MAC_DASHES}|{_MAC_CISCO}"

    def __init__(self) -> None:
        self._pattern = Pattern(self.shape)

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [
            Hit(start, end, "six octets")
            for start, end in self._pattern.spans(data)
            if not _goes_on(data, start, end, b":-.")
            and data[start:end].decode().lower().translate(_WITHOUT_JOINTS) not in _NOBODYS_MACS
        ]


_WITHOUT_JOINTS = str.maketrans("", "", ":-.")


def _goes_on(data: bytes, start: int, end: int, joints: bytes) -> bool:
    """Whether letters, digits or more groups stand beside a match."""
    before, after = data[max(start - 2, 0) : start], data[end : end + 2]
    if before[-1:].isalnum() or after[:1].isalnum():
        return True
    if before and before[-1] in joints and before[:1].isalnum() and len(before) == 2:
        return True
    return len(after) == 2 and after[0] in joints and after[1:].isalnum()


def _is_slice(data: bytes, start: int, end: int) -> bool:
    """Whether it stands in the brackets of a name, as Python's slices do (``rows[1::2]``)."""
    before = data[max(start - 2, 0) : start]
    return before[1:] == b"[" and data[end : end + 1] == b"]" and (before[:1].isalnum() or before[:1] in b"_)]")


def _is_ipv6(text: str) -> bool:
    """Whether it is an address of somebody's, not a name of C++ or Rust that is spelt with hexadecimal letters."""
    try:
        address = IPv6Address(text.partition("%")[0])
    except AddressValueError:
        return False
    return any(map(str.isdigit, text)) and not address.is_unspecified
