"""Addresses of crypto-currencies, by the checks that they carry."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from countersign.masking.detectors.base import Detector, Hit, Pattern

# Bitcoin, Litecoin, Dogecoin, Dash, Tron, Zcash: a version byte and 20 bytes, then four of a double SHA-256.
# Nearly all have a capital letter among the first ones, which tells them from hexadecimal digits.
_BASE58 = (
    r"\b(?:[13LMDAX9T][1-9a-km-z]{0,14}[A-HJ-NP-Z][1-9A-HJ-NP-Za-km-z]{9,32}|"
    r"t[13][1-9a-km-z]{0,14}[A-HJ-NP-Z][1-9A-HJ-NP-Za-km-z]{18,32})\b"
)
_BASE58_LENGTHS = range(25, 36)
# Bitcoin, Litecoin, Cardano (whose addresses are longer, CIP 19), Cosmos and its kin.
_IN_BECH32 = "[02-9ac-hj-np-z]"
_BECH32 = (
    rf"\b(?:(?:bc|tb|ltc|addr|stake|cosmos|osmo|celestia)1{_IN_BECH32}{{8,110}}|"
    rf"(?:BC|TB|LTC)1{_IN_BECH32.upper()}{{8,87}})\b"
)
_BITCOIN_CASH = rf"\bbitcoincash:[qp]{_IN_BECH32}{{41}}\b"
_ETHEREUM = r"\b0x[0-9A-Fa-f]{40}\b"
_MONERO = r"\b[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}\b"
_BASE58_DIGITS = {
    character: value for value, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}
_BECH32_DIGITS = {character: value for value, character in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_SUMS = (1, 0x2BC830A3)


class CryptoAddress:
    """Detects addresses of Base58Check (BIP 13), Bech32 and Bech32m (BIP 173, BIP 350), Ethereum and Monero."""

    label = "CRYPTO"

    def __init__(self) -> None:
        self.parts: tuple[Detector, ...] = (
            _Kind(_BASE58, is_base58check, "the check of Base58Check is right", has_literal=False),
            _Kind(_BECH32, is_bech32, "the check of Bech32 is right", has_literal=True),
            _Kind(_BITCOIN_CASH, _is_varied, "the form of an address of Bitcoin Cash", has_literal=True),
            _Kind(_ETHEREUM, _is_varied, "the form of an address of Ethereum", has_literal=True),
            _Kind(_MONERO, _is_varied, "the form of an address of Monero", has_literal=False),
        )

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [hit for part in self.parts for hit in part.find(data)]


class _Kind:
    """Addresses of one form."""

    label = CryptoAddress.label

    def __init__(self, pattern: str, check: Callable[[str], bool], why: str, *, has_literal: bool) -> None:
        self._pattern = Pattern(pattern)
        self._check = check
        self._why = why
        self.gate = (pattern,) if has_literal else ()
        self.shape = "" if has_literal else pattern

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [
            Hit(start, end, self._why)
            for start, end in self._pattern.spans(data)
            if self._check(data[start:end].decode())
        ]


def is_base58check(text: str) -> bool:
    """Whether the last four of up to 26 bytes are the beginning of a double SHA-256 over the others."""
    if len(text) not in _BASE58_LENGTHS:
        return False
    value = 0
    for character in text:
        value = value * 58 + _BASE58_DIGITS[character]
    for size in (25, 26):
        if value.bit_length() <= 8 * size:
            whole = value.to_bytes(size, "big")
            if sha256(sha256(whole[:-4]).digest()).digest()[:4] == whole[-4:]:
                return True
    return False


def is_bech32(text: str) -> bool:
    """Whether the checksum of BIP 173 or BIP 350 is right."""
    prefix, _, data = text.lower().rpartition("1")
    if not prefix or any(character not in _BECH32_DIGITS for character in data):
        return False
    values = [*(ord(character) >> 5 for character in prefix), 0, *(ord(character) & 31 for character in prefix)]
    values += (_BECH32_DIGITS[character] for character in data)
    total = 1
    for value in values:
        top = total >> 25
        total = (total & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATORS):
            total ^= generator if top >> bit & 1 else 0
    return total in _BECH32_SUMS


def _is_varied(text: str) -> bool:
    return len(set(text)) > 3
