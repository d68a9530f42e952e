"""The promise: each detector finds its family, leaves its look-alikes, and cannot be made to hang."""

from __future__ import annotations

import time

import pytest

from countersign.masking import Masker, detectors
from countersign.masking.detectors.credit_card import CreditCard
from countersign.masking.detectors.email import Email
from countersign.model.rule import DETECTORS
from tests.unit.masking import canaries

CARD_GROUPED = " ".join(canaries.CARD[at : at + 4] for at in range(0, 16, 4))
AMEX = "3782" + "822463" + "10005"


def found(detector: detectors.Detector, text: str) -> list[str]:
    data = text.encode()
    return [data[start:end].decode() for start, end, _ in detector.find(data)]


def test_the_registry_knows_exactly_the_detectors_of_the_model() -> None:
    assert sorted(detectors.names()) == sorted(DETECTORS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"mail {canaries.EMAIL}, please", [canaries.EMAIL]),
        ("a.b+c@sub.example.co.uk", ["a.b+c@sub.example.co.uk"]),
        ("jörg@müller.example", ["jörg@müller.example"]),
        ("<x@y.io>", ["x@y.io"]),
        ("git clone git@code.example.com:team/app.git", []),
        ("npm i thing@1.2.3 and @scope/name", []),
        ("user@localhost", []),
    ],
)
def test_mail_addresses(text: str, expected: list[str]) -> None:
    assert found(Email(), text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (canaries.CARD, [canaries.CARD]),
        (f"card_{canaries.CARD}", [canaries.CARD]),
        (CARD_GROUPED, [CARD_GROUPED]),
        (CARD_GROUPED.replace(" ", "-"), [CARD_GROUPED.replace(" ", "-")]),
        (f"{CARD_GROUPED} 12 2031", [CARD_GROUPED]),
        (f"ref 2024 {CARD_GROUPED}", [CARD_GROUPED]),
        (AMEX, [AMEX]),
        (f"{AMEX[:4]} {AMEX[4:10]} {AMEX[10:]}", [f"{AMEX[:4]} {AMEX[4:10]} {AMEX[10:]}"]),
        (canaries.CARD[:-1] + "2", []),  # the sum is wrong
        ("1700000000000", []),  # a time in milliseconds
        (f"0.{canaries.CARD}", []),  # a fraction
        (f"a{canaries.CARD}f", []),  # within a digest
        ("9" * 40, []),
        ("123e4567-e89b-12d3-a456-426614174000", []),
    ],
)
def test_card_numbers(text: str, expected: list[str]) -> None:
    assert found(CreditCard(), text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (canaries.SSN, [canaries.SSN]),
        (canaries.SSN.replace("-", " "), [canaries.SSN.replace("-", " ")]),
        ("000-12-3456 666-12-3456 900-12-3456", []),
        ("536-00-8726 536-22-0000", []),
        ("1536-22-8726 536-22-87261 12-536-22-8726 536-22-8726-1", []),
        ("536-22 8726", []),
        ("536228726", []),
    ],
)
def test_social_security_numbers(text: str, expected: list[str]) -> None:
    assert found(detectors.make("us_ssn", None), text) == expected


@pytest.mark.parametrize(
    "secret",
    [canaries.AWS_KEY, canaries.GITHUB_TOKEN, canaries.JWT, "Tr0ub4dor&3", "swordfish"],
)
@pytest.mark.parametrize(
    "template",
    [
        "password = {}",
        "DB_PASSWORD={}\nNEXT=1",
        "password: {}",
        "  api_key: '{}'  # note",
        '"client_secret" => "{}"',
        "the admin password is {}1, do not share",
        "Authorization: Bearer {}12345678",
        "postgres://app:{}@db.example/orders",
    ],
)
def test_credentials_in_prose_and_configuration_are_masked(masker: Masker, template: str, secret: str) -> None:
    masked = masker.text(template.format(secret).encode())
    assert secret.encode() not in masked.data
    assert masked.changed


@pytest.mark.parametrize("secret", [canaries.AWS_KEY, canaries.GITHUB_TOKEN, canaries.JWT])
def test_credentials_alone_are_masked(masker: Masker, secret: str) -> None:
    assert masker.text(f"see {secret} there".encode()).data == b"see [SECRET] there"


def test_private_keys_are_masked_whole_and_cut_off(masker: Masker) -> None:
    assert masker.text(f"key:\n{canaries.PEM}\nend".encode()).data.endswith(b"\nend")
    for text in (canaries.PEM, canaries.PEM[:-20], canaries.PEM.replace("\n", "\\n"), canaries.PEM[:60]):
        masked = masker.text(f"x {text}".encode()).data
        assert canaries.PEM_BODY[:25].encode() not in masked
        assert b"BKcwgg" not in masked


@pytest.mark.parametrize(
    "text",
    [
        "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "123e4567-e89b-12d3-a456-426614174000",
        "password: <your password>",
        "password = ${DB_PASSWORD}",
        "PASSWORD=changeme",
        "password: ********",
        "api_key = os.environ['API_KEY']",
        "Password: must have eight characters",
        "next_page_token: abcdef0123456789",
        "token: string",
        "https://example.org:8080/path?x=1",
        "secret = None",
    ],
)
def test_what_only_looks_like_a_credential_stays(masker: Masker, text: str) -> None:
    assert masker.text(text.encode()).data == text.encode()


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "1 ",
        "411 ",
        "-",
        "@",
        "a@",
        "a@b.",
        "x://",
        "x://a:b",
        "password=",
        "password: \\",
        'ssn: "',
        "ssn=1 ",
        "ssn:a b ",
        "eyJ",
        "eyJaaaaaaaaaaaa.",
        "-----BEGIN " + "PRIVATE KEY-----",
        "AKIA",
        "bearer ",
        '{"',
        "[",
        "\\",
        "536-22-",
        "\u00e9@",
    ],
)
def test_no_text_makes_it_hang(masker: Masker, unit: str) -> None:
    text = (unit * (200_000 // len(unit))).encode()
    started = time.process_time()
    masker.text(text)
    assert time.process_time() - started < 3.0


@pytest.mark.parametrize("filler", ["x", "\u00e9", "word ", "a line\n"])
def test_a_credential_is_found_wherever_a_long_text_is_cut_to_be_scanned(masker: Masker, filler: str) -> None:
    for length in range(65_536 - 60, 65_536 + 20, 7):
        before = (filler * length)[: length // len(filler[0].encode())]
        masked = masker.text(f"{before} {canaries.GITHUB_TOKEN} {filler * 9_000}".encode())
        assert canaries.GITHUB_TOKEN.encode() not in masked.data
