"""What can be checked of European identifiers; numbers come without separators, in capital letters."""

from __future__ import annotations

from countersign.masking.detectors.checksums import icao, is_day, luhn, mod_11_10, weighted

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_LETTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_PPS_LETTERS = "WABCDEFGHIJKLMNOPQRSTUV"
_NINO_NEVER = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_DOCUMENT_BODY = 9


def at_vnr(number: str) -> bool:
    """Serial, check, birthday; months up to 15 serve days that ran out of numbers."""
    weights = (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)
    return (
        1 <= int(number[4:6]) <= 31 and 1 <= int(number[6:8]) <= 15 and weighted(number, weights) % 11 == int(number[3])
    )


def be_nn(number: str) -> bool:
    """Birthday (bis numbers add to the month), serial, a remainder modulo 97; from 2000 on as if a 2 stood in front."""
    rest, check = int(number[:9]), int(number[9:])
    dated = int(number[2:4]) % 20 <= 12 and int(number[4:6]) <= 31
    return dated and check in (97 - rest % 97, 97 - (2_000_000_000 + rest) % 97)


def baltic(number: str) -> bool:
    """The code of Estonia and Lithuania: sex and century, birthday, serial, a check modulo 11 in two rounds."""
    if not is_day(number[3:5], number[5:7]):
        return False
    check = weighted(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(number[10])


def de_tax_id(number: str) -> bool:
    """One digit, no more, occurs twice or three times among the first ten; the check is ISO/IEC 7064 MOD 11,10."""
    counts = sorted(map(number[:10].count, set(number[:10])))
    return counts[-1] in (2, 3) and counts[-2] == 1 and mod_11_10(number)


def de_pension(number: str) -> bool:
    """Area, birthday, the first letter of the name at birth, serial, check (VKVV, section 2)."""
    digits = number[:8] + _letter_as_digits(number[8]) + number[9:11]
    products = map(int.__mul__, map(int, digits), (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1))
    return is_day(number[4:6], number[2:4]) and sum(map(_digit_sum, products)) % 10 == int(number[11])


def de_health(number: str) -> bool:
    """A letter, eight digits, a check (SGB V, section 290)."""
    digits = _letter_as_digits(number[0]) + number[1:9]
    products = map(int.__mul__, map(int, digits), (1, 2) * 5)
    return sum(map(_digit_sum, products)) % 10 == int(number[9])


def de_document(number: str) -> bool:
    """The serial of an identity card or passport, with its ICAO check digit or, if without, with letters enough."""
    if len(number) > _DOCUMENT_BODY:
        return str(icao(number[:_DOCUMENT_BODY])) == number[_DOCUMENT_BODY:]
    letters = sum(character.isalpha() for character in number)
    return 3 <= letters <= 5


def de_doctor(number: str) -> bool:
    """A doctor's number (LANR): six digits, a check, two for the field."""
    return -weighted(number, (4, 9, 4, 9, 4, 9)) % 10 == int(number[6])


def dk_cpr(number: str) -> bool:
    """A birthday, a serial and a check modulo 11, which a few numbers go without since 2007."""
    return is_day(number[2:4], number[:2]) and weighted(number, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def es_dni(number: str) -> bool:
    """Eight digits, hardly one under 100,000, and the letter for their remainder modulo 23."""
    return not number.startswith("000") and _DNI_LETTERS[int(number[:-1]) % 23] == number[-1]


def es_nie(number: str) -> bool:
    """As :func:`es_dni`; X, Y and Z in front stand for 0, 1 and 2."""
    return es_dni(str("XYZ".index(number[0])) + number[1:])


def fi_hetu(number: str) -> bool:
    """Birthday, century, serial, check; the century's sign may have gone with the separators."""
    return is_day(number[2:4], number[:2]) and _HETU_LETTERS[int(number[:6] + number[-4:-1]) % 31] == number[-1]


def ie_pps(number: str) -> bool:
    """Seven digits, a check letter, and perhaps a second letter that counts as well."""
    total = weighted(number[:7], (8, 7, 6, 5, 4, 3, 2))
    if len(number) > 8:
        total += 9 * _PPS_LETTERS.index(number[8])
    return _PPS_LETTERS[total % 23] == number[7]


def is_kennitala(number: str) -> bool:
    """Birthday, serial, check, century."""
    dated = is_day(number[2:4], str(int(number[:2]) % 40)) and number[9] in "089"
    return dated and weighted(number, (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def nl_bsn(number: str) -> bool:
    """Nine digits, weighted down to minus one for the last, are a multiple of 11."""
    return int(number) > 0 and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def no_fnr(number: str) -> bool:
    """Birthday (D- and H-numbers add 4 to its first or third digit) and two checks modulo 11."""
    return (
        is_day(str(int(number[2:4]) % 40), str(int(number[:2]) % 40))
        and weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def pl_nip(number: str) -> bool:
    """Nine digits and their weighted sum modulo 11."""
    return weighted(number, (6, 5, 7, 2, 3, 4, 5, 6, 7, -1)) % 11 == 0


def pl_pesel(number: str) -> bool:
    """Birthday (20, 40, 60 or 80 on the month tell the century), serial, check."""
    dated = is_day(str(int(number[2:4]) % 20), number[4:6])
    return dated and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def pt_nif(number: str) -> bool:
    """Nine digits, the last a check modulo 11."""
    return -weighted(number, (9, 8, 7, 6, 5, 4, 3, 2)) % 11 % 10 == int(number[8])


def ro_cnp(number: str) -> bool:
    """Sex and century, birthday, county, serial, check."""
    check = weighted(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    dated = is_day(number[3:5], number[5:7]) and 1 <= int(number[7:9]) <= 52
    return dated and (1 if check == 10 else check) == int(number[12])


def ru_snils(number: str) -> bool:
    """Nine digits and their weighted sum modulo 101."""
    return weighted(number[:9], range(9, 0, -1)) % 101 % 100 == int(number[9:])


def se_organisation(number: str) -> bool:
    """The third digit tells it from a birthday; the Luhn sum is right."""
    return int(number[2]) >= 2 and luhn(number)


def se_personnummer(number: str) -> bool:
    """Birthday (60 on the day of coordination numbers) and a Luhn sum over the last ten digits.

    Twelve digits may as well be a day and a minute of this century.
    """
    number = number.replace("+", "")
    if number[:2] == "20" and len(number) == 12 and int(number[8:10]) < 24 and int(number[10:]) < 60:
        return False
    number = number[-10:]
    return is_day(number[2:4], str(int(number[4:6]) % 60)) and luhn(number)


def tr_tckn(number: str) -> bool:
    """Nine digits and two checks over them."""
    digits = [*map(int, number)]
    return (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10 == digits[9] and sum(digits[:10]) % 10 == digits[10]


def uk_nhs(number: str) -> bool:
    """Nine digits and a check modulo 11."""
    return weighted(number, range(10, 0, -1)) % 11 == 0 and len(set(number)) > 1


def uk_nino(number: str) -> bool:
    """Some prefixes are never given out."""
    return number[:2] not in _NINO_NEVER


def yugoslav(number: str) -> bool:
    """The master citizen number of Yugoslavia's successors: birthday, region, serial, check."""
    check = -weighted(number, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 % 10
    return is_day(number[2:4], number[:2]) and number[4] in "09" and check == int(number[12])


def _letter_as_digits(letter: str) -> str:
    return f"{ord(letter) - 64:02d}"


def _digit_sum(product: int) -> int:
    return product // 10 + product % 10
