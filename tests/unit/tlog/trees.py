"""Trees as RFC 6962 defines them, by recursion: slow, and too plain to be wrong in the way that ours could be."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

# The leaves of the reference tests of Certificate Transparency, and the roots over the first n of them.
CT_LEAVES: Final = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS: Final = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def leaves(count: int) -> list[bytes]:
    """Hashes of ``count`` different leaves."""
    return [sha256(b"\0" + str(index).encode()).digest() for index in range(count)]


def head(row: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, over hashes of leaves."""
    if not row:
        return sha256().digest()
    if len(row) == 1:
        return row[0]
    middle = _middle(len(row))
    return sha256(b"\1" + head(row[:middle]) + head(row[middle:])).digest()


def path(index: int, row: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(row) == 1:
        return []
    middle = _middle(len(row))
    if index < middle:
        return [*path(index, row[:middle]), head(row[middle:])]
    return [*path(index - middle, row[middle:]), head(row[:middle])]


def proof(old: int, row: Sequence[bytes]) -> list[bytes]:
    """PROOF of RFC 6962, 2.1.2, for 0 < ``old`` <= the length of ``row``."""
    return _subproof(old, row, whole=True)


def _subproof(old: int, row: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(row):
        return [] if whole else [head(row)]
    middle = _middle(len(row))
    if old <= middle:
        return [*_subproof(old, row[:middle], whole=whole), head(row[middle:])]
    return [*_subproof(old - middle, row[middle:], whole=False), head(row[:middle])]


def _middle(length: int) -> int:
    middle = 1
    while middle * 2 < length:
        middle *= 2
    return middle
