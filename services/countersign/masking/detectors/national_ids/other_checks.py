"""What can be checked of identifiers outside Europe; numbers come without separators, in capital letters."""

from __future__ import annotations

from countersign.masking.detectors.checksums import is_day, luhn, verhoeff, weighted

_ABN_WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
_CN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CPF_WEIGHTS = (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)
_CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
_NRIC_LETTERS = {"S": "JZIHGFEDCBA", "T": "GFEDCBAJZIH", "F": "XWUTRQPNMLK", "G": "RQPNMLKXWUT", "M": "XWUTRQPNJLK"}
_TW_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_KR_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


def au_abn(number: str) -> bool:
    """Eleven digits, the first less one, weigh a multiple of 89."""
    return (weighted(number, _ABN_WEIGHTS) - _ABN_WEIGHTS[0]) % 89 == 0


def au_acn(number: str) -> bool:
    """Eight digits and a check modulo 10."""
    return -weighted(number, range(8, 0, -1)) % 10 == int(number[8])


def au_medicare(number: str) -> bool:
    """Eight digits, a check, the number of the card's issue, perhaps the person's on it."""
    return weighted(number[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(number[8])


def au_tfn(number: str) -> bool:
    """Nine digits weigh a multiple of 11."""
    return weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def ar_cuit(number: str) -> bool:
    """Ten digits and a check modulo 11."""
    check = -weighted(number[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (9 if check == 10 else check) == int(number[10])


def br_cnpj(number: str) -> bool:
    """Twelve digits and two checks modulo 11."""
    first = weighted(number[:12], _CNPJ_WEIGHTS[1:])
    second = weighted(number[:13], _CNPJ_WEIGHTS)
    return _modulo_11(first) == number[12] and _modulo_11(second) == number[13] and len(set(number)) > 1


def br_cpf(number: str) -> bool:
    """Nine digits and two checks modulo 11."""
    first, second = weighted(number[:9], _CPF_WEIGHTS[1:]), weighted(number[:10], _CPF_WEIGHTS)
    return _modulo_11(first) == number[9] and _modulo_11(second) == number[10] and len(set(number)) > 1


def cl_rut(number: str) -> bool:
    """Seven or eight digits and a check modulo 11, in which K stands for 10."""
    total = sum(int(digit) * (2 + at % 6) for at, digit in enumerate(reversed(number[:-1])))
    return "0123456789K"[-total % 11] == number[-1]


def cn_ric(number: str) -> bool:
    """Region, birthday, serial, check of ISO/IEC 7064 MOD 11-2 (GB 11643-1999)."""
    return is_day(number[10:12], number[12:14]) and "10X98765432"[weighted(number[:17], _CN_WEIGHTS) % 11] == number[17]


def hk_id(number: str) -> bool:
    """One letter or two, six digits and a check modulo 11."""
    letters = number[:-7].rjust(2)
    values = [36 if letter == " " else int(letter, 36) for letter in letters]
    total = 9 * values[0] + 8 * values[1] + weighted(number[-7:-1], (7, 6, 5, 4, 3, 2))
    return "0123456789A"[-total % 11] == number[-1]


def in_aadhaar(number: str) -> bool:
    """Verhoeff's check; a number that reads the same backwards is never given out."""
    return verhoeff(number) and number != number[::-1]


def kr_rrn_before_2020(number: str) -> bool:
    """A birthday and a check modulo 11, to which foreigners' numbers add 2."""
    check = (11 - weighted(number, _KR_WEIGHTS) % 11) % 10
    return year_first(number) and (check + (2 if number[6] in "5678" else 0)) % 10 == int(number[12])


def kr_brn(number: str) -> bool:
    """Nine digits and a check modulo 10."""
    total = weighted(number, (1, 3, 7, 1, 3, 7, 1, 3)) + int(number[8]) * 5 // 10 + int(number[8]) * 5
    return -total % 10 == int(number[9])


def year_first(number: str) -> bool:
    """Year, month and day of birth in front, and no check (Korea has none since October 2020)."""
    return is_day(number[2:4], number[4:6])


def mx_curp(number: str) -> bool:
    """A birthday and a check modulo 10 over the alphabet with an additional letter."""
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    total = sum(alphabet.index(character) * (18 - at) for at, character in enumerate(number[:17]))
    return is_day(number[6:8], number[8:10]) and str(-total % 10) == number[17]


def luhn_but_zeros(number: str) -> bool:
    """A Luhn sum, over more than one digit repeated."""
    return luhn(number) and len(set(number)) > 1


def sg_nric(number: str) -> bool:
    """The letter in front tells which letters serve as checks."""
    total = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + (3 if number[0] == "M" else 0)
    letters = _NRIC_LETTERS[number[0]]
    return number[8] == (letters[10 - total % 11] if number[0] == "M" else letters[total % 11])


def th_pin(number: str) -> bool:
    """Twelve digits and a check modulo 11."""
    return (11 - weighted(number[:12], range(13, 1, -1)) % 11) % 10 == int(number[12])


def tw_id(number: str) -> bool:
    """A letter that stands for two digits, the sex, a serial, a check modulo 10."""
    value = _TW_LETTERS.index(number[0]) + 10
    return (value // 10 + value % 10 * 9 + weighted(number[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def us_aba(number: str) -> bool:
    """A Federal Reserve district in front, and nine digits that weigh a multiple of 10."""
    district = int(number[:2])
    known = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return known and int(number) > 0 and weighted(number, (3, 7, 1) * 3) % 10 == 0


def us_npi(number: str) -> bool:
    """A Luhn sum with the issuer's prefix 80840 in front."""
    return luhn("80840" + number)


def us_ssn(number: str) -> bool:
    """Neither area, group nor serial is one that the SSA never assigns."""
    area = number[:3]
    return area not in ("000", "666") and area[0] != "9" and number[3:5] != "00" and number[5:] != "0000"


def us_dea(number: str) -> bool:
    """A prescriber's registration: two letters, six digits, and the last digit of their weighted sum."""
    digits = number[2:]
    return weighted(digits[:6], (1, 2, 1, 2, 1, 2)) % 10 == int(digits[6])


def us_itin(number: str) -> bool:
    """The groups that the IRS assigns: 50 to 65, 70 to 88, 90 to 92, 94 to 99."""
    group = int(number[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94


def za_id(number: str) -> bool:
    """Birthday, serial, citizenship, Luhn sum."""
    return is_day(number[2:4], number[4:6]) and number[10] in "012" and luhn(number)


def _modulo_11(total: int) -> str:
    check = -total % 11
    return str(0 if check == 10 else check)
