"""The promise: each family of personal data is found as people write it, and its look-alikes stay."""

from __future__ import annotations

import pytest

from countersign.masking import personal_keys
from tests.unit.masking.detectors.finding import found

BITCOIN = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
SEGWIT = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
TAPROOT = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
MRZ = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +14155550132 now", ["+14155550132"]),
        ("+44 20 7946 0958", ["+44 20 7946 0958"]),
        ("+49 (0) 30 123456", ["+49 (0) 30 123456"]),
        ("0033 1 42 68 53 00", ["0033 1 42 68 53 00"]),
        ("(415) 555-0132", ["(415) 555-0132"]),
        ("415-555-0132 or 415.555.0132", ["415-555-0132", "415.555.0132"]),
        ("+1-415-555-0132 x123", ["+1-415-555-0132"]),
        ("0532 123 45 67", ["0532 123 45 67"]),
        ("0917-123-4567", ["0917-123-4567"]),
        ("07700900123", ["07700900123"]),
        ("01 42 68 53 00", ["01 42 68 53 00"]),
        ("(11) 98456-5666", ["(11) 98456-5666"]),
        ("phone: 5550132", ["5550132"]),
        ('{"mobile_number": 4155550132}', ["4155550132"]),
        ("tel. 030/123456", ["030/123456"]),
        ("2024-01-15 10:30:00", []),
        ("15/01/2024 10:30", []),
        ("phone model released 2024-01-15", []),
        ("part number 415-555-0132", []),
        ("order 0532123456", []),
        ("5551234567", []),
        ("+2 points, +12345", []),
        ("0.3956 + 43894.1694230601", []),
        ("version +999999999999", []),
        ("192.168.100.1234", []),
        ("1.234.567.890", []),
    ],
)
def test_telephone_numbers(text: str, expected: list[str]) -> None:
    assert sorted(set(found("phone", text))) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GB82WEST12345698765432", ["GB82WEST12345698765432"]),
        ("pay DE89 3704 0044 0532 0130 00 today", ["DE89 3704 0044 0532 0130 00"]),
        ("de89370400440532013000.", ["de89370400440532013000"]),
        ("NL91-ABNA-0417-1643-00", ["NL91-ABNA-0417-1643-00"]),
        ("XX12 GB82 WEST 1234 5698 7654 32 AB", ["GB82 WEST 1234 5698 7654 32"]),
        ("GB82WEST12345698765433", []),
        ("GB82WEST1234569876543", []),
        ("GB82WEST12345698765432X", []),
        ("GB82  WEST12345698765432", []),
        ("ZZ82WEST12345698765432", []),
    ],
)
def test_bank_account_numbers(text: str, expected: list[str]) -> None:
    assert found("iban", text) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ip", "from 192.0.2.1, 10.1.2.0/24 and 203.0.113.9:443", ["192.0.2.1", "10.1.2.0/24", "203.0.113.9"]),
        (
            "ip",
            "2001:db8::1 fe80::1%eth0 2001:0db8:0:0:0:0:0:1",
            ["2001:db8::1", "fe80::1%eth0", "2001:0db8:0:0:0:0:0:1"],
        ),
        ("ip", "[::ffff:192.0.2.1]:80", ["::ffff:192.0.2.1", "192.0.2.1"]),
        ("ip", "listening on 127.0.0.1:80 and 0.0.0.0, mask 255.255.255.255", []),
        ("ip", "version 1.2.3.4, v1.2.3.4, 1.2.3.4.5, 01.02.03.04, 256.1.1.1", []),
        ("ip", '{"version": "10.0.19045.1"}', []),
        ("ip", "harbor 17.14.64.47 (build 4759), 3.3.77.94 release 2", []),
        ("credit_card", '{"ean": "4000000000006"} pays with 4000000000006', ["4000000000006"]),
        ("ip", "std::string a::b rows[1::2] 12:30:45 dead::beef:", []),
        (
            "mac",
            "00:1A:2b:3C:4d:5E 00-1a-2b-3c-4d-5e 001a.2b3c.4d5e",
            ["00:1A:2b:3C:4d:5E", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e"],
        ),
        ("mac", "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00 aa:bb:cc:dd:ee:ff:00:11", []),
        ("crypto", f"send to {BITCOIN}", [BITCOIN]),
        ("crypto", f"{SEGWIT} {TAPROOT} {SEGWIT.upper()}", [SEGWIT, TAPROOT, SEGWIT.upper()]),
        (
            "crypto",
            "0x" + "52908400098527886E0F7030069857D2E4169EE7",
            ["0x" + "52908400098527886E0F7030069857D2E4169EE7"],
        ),
        ("crypto", f"{BITCOIN[:-1]}b {SEGWIT[:-1]}p 0x{'0' * 40} 0x{'ab' * 32}", []),
        ("passport", "Passport No. X1234567 and 'passport': '912803456'", ["X1234567", "912803456"]),
        ("crypto", f"bitcoincash:q{'p3w7k2x9' * 5}z", [f"bitcoincash:q{'p3w7k2x9' * 5}z"]),
        ("credit_card", "2200 0000 0000 0004, 6062820000000003", ["2200 0000 0000 0004", "6062820000000003"]),
        ("email", 'to "john doe"@example.com, bob@[192.0.2.1]', ['"john doe"@example.com', "bob@[192.0.2.1]"]),
        ("email", 'import "@types/node"; x = "a"@decorator', []),
        ("phone", "(+358) 401052850", ["(+358) 401052850"]),
        ("passport", "Reisepass CTYRL5M2K", ["CTYRL5M2K"]),
        ("passport", "bypass port 91280345", []),
        ("passport", "she showed X1234567 and C12345678", ["X1234567", "C12345678"]),
        ("passport", "order X1234567, Q12345678, R20240512, C0001234, KB1234567, X1234567-8, a1234567", []),
        ("passport", MRZ, MRZ.split("\n")),
        ("driver_license", "driver license: D123-4567-8901", ["D123-4567-8901"]),
        ("driver_license", "Fahrerlaubnisnummer: B072RRE2I55", ["B072RRE2I55"]),
        ("driver_license", "MORGA657054SM9IJ", ["MORGA657054SM9IJ"]),
        ("us_routing", "routing number 021000021, not 021000022", ["021000021"]),
        ("bank_account", "account number: 945456787654", ["945456787654"]),
        ("swift_bic", "SWIFT: DEUTDEFF500", ["DEUTDEFF500"]),
        ("birth_date", "DOB: 02/03/1980; born on 3 March 1980", ["02/03/1980", "3 March 1980"]),
        ("birth_date", '"birth_date": "1980-02-03"\n"created": "2024-01-15"', ["1980-02-03"]),
        ("birth_date", "released 1980-02-03", []),
        (
            "vehicle_plate",
            "AB51 ABC, MH12AB1234, 34 ABC 123, ABC-123DE",
            ["AB51 ABC", "MH12AB1234", "34 ABC 123", "ABC-123DE"],
        ),
        ("vehicle_plate", "12 JAN 2024, 10 GB 2048, UTF-8, SHA256", []),
    ],
)
def test_other_families(name: str, text: str, expected: list[str]) -> None:
    assert sorted(set(found(name, text))) == sorted(expected)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("first_name", "PERSON"),
        ("LastName", "PERSON"),
        ("full-name", "PERSON"),
        ("patientFullName", "PERSON"),
        ("billing_street_address", "ADDRESS"),
        ("ADDRESS_LINE_2", "ADDRESS"),
        ("homeAddress", "ADDRESS"),
        ("date of birth", "BIRTH_DATE"),
        ("employee_dob", "BIRTH_DATE"),
        ("mobilePhone", "PHONE"),
        ("name", None),
        ("filename", None),
        ("hostname", None),
        ("ip_address", None),
        ("mac address", None),
        ("email_address", None),
        ("display_name", None),
        ("", None),
        ("x" * 10_000, None),
    ],
)
def test_names_of_keys_tell_whose_the_values_are(key: str, label: str | None) -> None:
    assert personal_keys.classify(key) == label


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("person_by_key", "first_name: Ann\nThe Last name: Lee", ["Ann", "Lee"]),
        ("person_by_key", "first_name=Ann last_name=Lee level=info", ["Ann", "Lee"]),
        ("person_by_key", "{'full_name': 'Ann O. Lee', 'id': 1}", ["Ann O. Lee"]),
        ("person_by_key", "**Customer name:** J\u00f6rg M\u00fcller, 12 items", ["J\u00f6rg M\u00fcller"]),
        ("person_by_key", "hostname: web1 filename=a.txt name: widget first_name: ''", []),
        ("person_by_key", "", []),
        ("address_by_key", "Home address: 12 Main St, Springfield\nx", ["12 Main St, Springfield"]),
        ("address_by_key", "address: 0.0.0.0:80 mac address: 00:11 email_address=a@b.c", []),
        ("birth_date_by_key", "dob=1980-02-03", ["1980-02-03"]),
        ("phone_by_key", "mobile no: 12345, phone: none", ["12345"]),
    ],
)
def test_values_beside_the_names_of_a_person_in_text(name: str, text: str, expected: list[str]) -> None:
    assert found(name, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mailto:jane@example.org", ["jane@example.org"]),
        ("jane:word@example.org", ["word@example.org"]),
        ("git@" + "example.org:team/repository", []),
        ("postgres://jane:word@" + "db.example.org:5432/x", ["word@" + "db.example.org"]),
        ("redis://:word@" + "cache.example.org/0", ["word@" + "cache.example.org"]),
        ("https://example.org/to:jane@example.org", ["jane@example.org"]),
        ("https://example.org?to:jane@example.org", ["jane@example.org"]),
        ("see https://example.org. Or write:jane@example.org", ["jane@example.org"]),
        ("ftp://x:jane@example.org@ftp.example.org", ["jane@example.org"]),
        ("https://example.org/u?a=1&mail=jane@example.org", ["jane@example.org"]),
        ("/users/jane@example.org/mails", ["jane@example.org"]),
        ("--user=jane@example.org", ["jane@example.org"]),
        ("a|jane@example.org|c", ["jane@example.org"]),
        (
            "'jane@example.org' **jo@example.org** {x@example.org}",
            ["jane@example.org", "jo@example.org", "x@example.org"],
        ),
        ("o'hara@example.org", ["o'hara@example.org"]),
        ("sent+jane=example.net@example.org", ["sent+jane=example.net@example.org"]),
        ("-@example.org", ["-@example.org"]),
    ],
)
def test_mail_addresses(text: str, expected: list[str]) -> None:
    assert found("email", text) == expected
