"""Addresses of crypto-currencies, by the checks that they carry."""

from __future__ import annotations

from hashlib import sha256

from countersign.masking.detectors.base import Hit, Pattern

# Bitcoin, Litecoin, Dogecoin, Dash, Tron, Zcash: a version byte and 20 bytes, then four of a double SHA-256.
_BASE58 = r"\b(?:[13LMDAX9T][1-9A-HJ-NP-Za-km-z]{24,33}|t[13][1-9A-HJ-NP-Za-km-z]{33})\b"
_BECH32 = r"\b(?:(?:bc|tb|ltc)1[02-9ac-hj-np-z]{8,87}|(?:BC|TB|LTC)1[02-9AC-HJ-NP-Z]{8,87})\b"
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
    gate = (_BASE58, _BECH32, _ETHEREUM, _MONERO)

    def __init__(self) -> None:
        self._patterns = (
            (Pattern(_BASE58), is_base58check, "the check of Base58Check is right"),
            (Pattern(_BECH32), is_bech32, "the check of Bech32 is right"),
            (Pattern(_ETHEREUM), _holds_more_than_zeros, "the form of an address of Ethereum"),
            (Pattern(_MONERO), _holds_more_than_zeros, "the form of an address of Monero"),
        )

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [
            Hit(start, end, why)
            for pattern, check, why in self._patterns
            for start, end in pattern.spans(data)
            if check(data[start:end].decode())
        ]


def is_base58check(text: str) -> bool:
    """Whether the last four of up to 26 bytes are the beginning of a double SHA-256 over the others."""
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


def _holds_more_than_zeros(text: str) -> bool:
    return len(set(text)) > 3
