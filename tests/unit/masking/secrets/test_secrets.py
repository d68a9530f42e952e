"""The promise: a credential is found in whatever structure tells of it, whole, and what only looks like one stays."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.catalogue import NativeFinding
from countersign.masking.detectors.base import Detector, Hit, parts_of
from countersign.masking.detectors.secrets import Secrets
from countersign.masking.gates import DetectorGates
from countersign.masking.masker import Masker, Rule
from countersign.masking.replacements import Redacted
from tests.support.cost import cpu_s
from tests.unit.masking.secrets import samples
from tests.unit.masking.secrets.samples import DISGUISED, HARMLESS, LONG, NEAR, PASSWORD, STRUCTURES


class NoCatalogue:
    """So that only what is ours is tried."""

    def scan(self, data: bytes) -> list[NativeFinding]:
        return []


OURS = Secrets(NoCatalogue())
ALL = {**STRUCTURES, **NEAR}


def masked(text: str, hits: Iterable[Hit] | None = None) -> str:
    """The text with ``#`` for each byte that was found."""
    data = bytearray(text.encode())
    for start, end, _ in OURS.find(bytes(data)) if hits is None else hits:
        data[start:end] = b"#" * (end - start)
    return data.decode()


def read_and_masked(text: str) -> str:
    """The text with ``#`` for each character that was found in it, or in what it reads as."""
    characters = list(text)
    for found in Masker([Rule(OURS, Redacted("-"))], []).explain(text).found:
        characters[found.start : found.end] = "#" * (found.end - found.start)
    return "".join(characters)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("secret", [PASSWORD, LONG, "p" + "@ss!w0rd9#"], ids=["short", "long", "punctuated"])
def test_a_password_is_found_whole_and_nothing_around_it(structure: str, secret: str) -> None:
    text = STRUCTURES[structure]
    if any(character in secret for character in "@#") and structure in ("url", "query", "jdbc", "url of a broker"):
        secret = secret.replace("@", "").replace("#", "")
    result = masked(text.replace("{}", secret))
    assert secret not in result
    assert result == text.replace("{}", "#" * len(secret)), "something else was masked, or a rest was left"


@pytest.mark.parametrize("structure", NEAR)
def test_what_looks_drawn_at_random_is_found_near_a_telling_word(structure: str) -> None:
    result = masked(NEAR[structure].replace("{}", LONG))
    assert LONG[:4] not in result
    assert LONG[-4:] not in result
    assert LONG not in masked(NEAR[structure].replace("{}", f"x {LONG}").replace("x ", ""))


@pytest.mark.parametrize("word", ["Key", "token", "API", "KeY", "tKn"])
def test_letters_of_something_random_tell_nothing(word: str) -> None:
    # A sealed state, or a cursor: masked, nobody could come back with it.
    chance = random.Random(word)
    for glue in ("", "_", "-") if word.istitle() else ("_",):
        drawn = ["".join(chance.choices("aB3dE5fG7hJ9kL", k=40)) for _ in range(2)]
        assert masked(f"v1.{drawn[0]}{glue}{word}-{drawn[1]}") == f"v1.{drawn[0]}{glue}{word}-{drawn[1]}"


@pytest.mark.parametrize(
    "name", ["acme-payments-eu1-prod-api-key-", "ACME_PAYMENTS_EU1_PROD_API_KEY ", "AcmePaymentsServiceProdToken-"]
)
def test_long_names_before_it_hide_nothing_random(name: str) -> None:
    assert LONG[4:-4] not in masked(f"{name}{LONG}")


@pytest.mark.parametrize("structure", DISGUISED)
def test_no_escape_or_disguise_hides_a_password(structure: str) -> None:
    text = DISGUISED[structure]
    assert read_and_masked(text.replace("{}", PASSWORD)) == text.replace("{}", "#" * len(PASSWORD))


def test_a_value_is_masked_with_what_was_hidden_in_it() -> None:
    masked = read_and_masked
    assert masked(f"password: {PASSWORD[:4]}\u200b{PASSWORD[4:]} x") == f"password: {'#' * (len(PASSWORD) + 1)} x"
    assert PASSWORD[4:] not in masked(f"password=3D{PASSWORD[:4]}=\n{PASSWORD[4:]}")
    assert masked(f"password%3A%20%22{PASSWORD[:4]}%26{PASSWORD[4:]}%22").count("#") == len(PASSWORD) + 3


def test_a_disguise_far_into_a_text_is_found_where_it_stands() -> None:
    hidden = f"next=https%3A%2F%2Fbob%3A{PASSWORD}%40db.example.org%2F"
    for filler in ("plain words, ", "\u00e9\u00e9 \u65e5\u672c\u8a9e ", "\U0001f600"):
        for repeats in (1, 39, 40, 400):
            text = filler * repeats + hidden + filler * repeats + hidden + filler
            assert read_and_masked(text) == text.replace(PASSWORD, "#" * len(PASSWORD))


def test_base64_of_a_text_with_a_password_is_masked_whole() -> None:
    encoded = base64.b64encode(f"user: bob\npassword: {PASSWORD}\n".encode()).decode()
    assert masked(f"blob {encoded} end") == f"blob {'#' * len(encoded)} end"
    harmless = base64.b64encode(b"nothing to see in this text, really").decode()
    assert masked(f"blob {harmless} end") == f"blob {harmless} end"


def test_the_data_of_a_kubernetes_secret_is_masked_and_nothing_else_of_it() -> None:
    value = base64.b64encode(b"x" + PASSWORD.encode()).decode()
    head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n"
    text = f"{head}data:\n  user: {value}\n  conf: >\n    {value}\ntype: Opaque\n"
    assert masked(text) == text.replace(value, "#" * len(value))
    other = text.replace("kind: Secret", "kind: ConfigMap").replace(value, "eW91IG1heSByZWFk")
    assert masked(other) == other


BODY = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7k7Xq9mT4vB2z"] * 3)
BEGIN, END = (f"-----{word} " + "PRIVATE KEY-----" for word in ("BEGIN", "END"))


@pytest.mark.parametrize(
    "text",
    [
        f"{BEGIN}\n{BODY}\n{END}",
        f"{BEGIN}\n{BODY}",
        f"{BODY}\n{END}",
        f"key: {BODY[:30]}\n{BODY}\n{END}".replace("\n", "\\n"),
        f"Encryption: none\nPrivate-Lines: 3\n{BODY}\nPrivate-MAC: 0",
        "-----BEGIN PGP " + f"PRIVATE KEY BLOCK-----\nVersion: GnuPG v2.0 (x)\n\n{BODY}",
    ],
    ids=["whole", "no end", "no beginning", "no beginning, escaped", "putty", "pgp without end"],
)
def test_no_line_of_a_private_key_is_left(text: str) -> None:
    result = masked(f"before {text} after")
    assert "MIIEv" not in result
    assert "mT4vB2z" not in result
    assert result.startswith("before ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("AIK_" + "SECRET_", LONG),
        ("cnv" + "ca", LONG * 2),
        ("ramp" + "_sec_", LONG * 2),
        ("4b" + "1d", LONG[:19] * 2),
        ("EX" + "O", LONG[:24]),
        ("ST" + "S.", LONG),
        ("00" + LONG[:13] + "!", LONG * 3),
        ("1//" + "0", LONG * 2),
        ("vercel_blob" + "_rw_", LONG * 2),
        ("nf" + "p_", LONG * 2),
        ("hca" + "ik_", LONG.lower() * 2),
        ("e2" + "b_", "0a1b2c3d" * 5),
        ("sk" + "_", "0a1b2c3d4e5f" * 4),
        ("f" + "c-", "0a1b2c3d" * 4),
        ("st" + ".", "0a1b2c3d" * 3 + "." + "0a1b2c3d" * 4 + "." + "0a1b2c3d" * 4),
        ("IG" + "QW", LONG * 4),
        ("r" + "e_", LONG[:8] + "_" + LONG),
        ("pk_" + "12345678_", LONG.upper()),
        ("access-" + "sandbox-", "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"),
        ("1/" + "1234567890123456:", "0a1b2c3d" * 4),
        ("secret-" + "token:", LONG),
        ("AQE" + LONG + LONG, "-" + LONG + "-" + LONG[:8]),
        (LONG[:22] + "==:", LONG),
    ],
)
def test_providers_tokens_are_found_whole(before: str, after: str) -> None:
    assert masked(f"it was {before}{after} then") == f"it was {'#' * len(before + after)} then"


def test_all_strings_that_are_joined_to_one_are_masked() -> None:
    for between in ('"\n    "', '" +\n    "', '"\n  . "', '" \\\n "'):
        text = f'password = ("{LONG}{between}{LONG}{between}{LONG}")\nname = "{LONG}"'
        assert masked(text) == text.replace(LONG, "#" * len(LONG), 3)
        assert masked(text.replace("\nname", "")) == text.replace(LONG, "#" * len(LONG), 3).replace("\nname", "")


def test_what_opens_a_list_is_no_value() -> None:
    for text in ('{"password":[1,\n""]}', "{'password':{1\n''}}", '{\\"password\\":[1\n2]}'):
        assert masked(text) == text
    assert masked(f"password=[{PASSWORD}\n") == f"password=#{'#' * len(PASSWORD)}\n"


def test_the_next_name_is_not_taken_for_more_of_a_value() -> None:
    text = f"'password': '{PASSWORD}'\n 'database_name' : 'somewhere'"
    assert masked(text) == text.replace(PASSWORD, "#" * len(PASSWORD))


def test_the_secret_members_of_a_key_in_json_are_masked_and_the_public_ones_stay() -> None:
    text = '{"kty": "RSA", "n": "{}n", "e": "AQAB", "d": "{}", "p": "{}", "kid": "k1"}'
    assert masked(text.replace("{}", LONG)) == text.replace("{}n", f"{LONG}n").replace("{}", "#" * len(LONG))
    assert masked(text.replace("kty", "kind").replace("{}", LONG)) == text.replace("kty", "kind").replace("{}", LONG)


def test_hashes_of_passwords_are_masked_and_digests_are_not() -> None:
    crypt = "$2b$12$" + "k7Xq9mT4vB2zL8wR3nC6yH1jD5fG0pSak7Xq9mT4vB2zL8wR3nC6y"
    assert masked(f"bob:{crypt}:19000") == f"bob:{'#' * len(crypt)}:19000"


def test_the_data_of_a_secret_in_json_is_masked_and_that_of_its_neighbour_is_not() -> None:
    value = base64.b64encode(b"x" + PASSWORD.encode()).decode()
    plain = '"data": {"conf": "readable"}'
    for text in (
        '{"items": [{"data": {"user": "{}"}, "kind": "Secret"}, {PLAIN, "kind": "ConfigMap"}]}',
        '{"items": [{"kind": "ConfigMap", PLAIN}, {"kind": "Secret", "data": {"tls.crt": "{}", "user": "{}"}}]}',
    ):
        text = text.replace("PLAIN", plain)
        assert masked(text.replace("{}", value)) == text.replace("{}", "#" * len(value))


def test_registries_and_basic_headers_are_found_by_what_they_encode() -> None:
    value = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()
    for text in (
        '{"auths": {"https://r": {"auth": "{}"}}}',
        "Authorization: Basic {}",
        "_auth={}",
        "use Basic {} here",
    ):
        assert masked(text.replace("{}", value)) == text.replace("{}", "#" * len(value))


@pytest.mark.parametrize("text", HARMLESS, ids=[str(number) for number in range(len(HARMLESS))])
def test_what_only_looks_like_a_credential_stays(text: str) -> None:
    assert masked(text) == text
    assert masked(json.dumps({"text": text}, ensure_ascii=False)) == json.dumps({"text": text}, ensure_ascii=False)


def test_the_label_of_an_empty_field_masks_nothing_below_it() -> None:
    text = "Password:\nUsername:\nPassword:\nForgot it?\n"
    assert masked(text) == text


@pytest.mark.parametrize(
    "placeholder", ["${DB_PASSWORD}", "<password>", "{{ .Values.pw }}", "********", "xxxxxxxxxxxx", "[REDACTED]"]
)
def test_the_place_of_a_password_is_no_password(placeholder: str) -> None:
    texts = [text.replace("{}", placeholder) for text in STRUCTURES.values()]
    assert [masked(text) for text in texts] == texts


@pytest.mark.parametrize("structure", ALL)
def test_no_gate_is_stricter_than_what_it_guards(structure: str, gates: DetectorGates) -> None:
    for value in (PASSWORD, LONG, "hunter2"):
        text = ALL[structure].replace("{}", value)
        for data in (f'"{text}"'.encode(), f'"{text}"'.upper().encode()):
            opened = [hit for part in gates.opened(data).get(OURS, ()) for hit in part.find(data)]
            assert masked(data.decode(), opened) == masked(data.decode())


@pytest.fixture(scope="module")
def gates() -> DetectorGates:
    return DetectorGates([OURS], cache_dir=None)


FRAGMENTS = (
    *(
        "password",
        "Secret",
        "api_key",
        "token",
        "key",
        "auth",
        ":",
        "=",
        " ",
        '"',
        "'",
        "\n",
        "  ",
        "|",
        "\\",
        "%3D",
        "%",
    ),
    *(
        "&quot;",
        "=\n",
        "\\u0070",
        "\u200b",
        "\u0430",
        "\uff50",
        "\u00e9",
        "\U0001d429",
        "<",
        ">",
        "/",
        "@",
        "://",
        "?",
        "&",
    ),
    *(PASSWORD, LONG, "name", "value", "data:", "kind: Secret", "-p", "--", "curl -u ", "basic ", "cookie: a="),
)


@settings(max_examples=250)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14))
def test_whatever_is_found_stands_in_the_text_on_whole_characters(pieces: list[str]) -> None:
    text = "".join(pieces)
    data = text.encode()
    for start, end, why in OURS.find(data):
        assert 0 <= start < end <= len(data)
        data[:start].decode()
        data[start:end].decode()
        assert PASSWORD not in why
        assert why.isascii()


HOSTILE = (
    *(
        "-",
        "x://a:b@",
        "password: \\",
        'password: "',
        "password: |\n ",
        "authorization: ",
        "cookie: a=b;",
        "basic YTpi ",
    ),
    *(
        "curl -u a:",
        "mysql -p",
        "--password 'a",
        "key-a1b2c3d4e5f6",
        "secret secret ",
        "<password a=b>x",
        "name: password ",
    ),
    *('variable "password" {', "kind: Secret\n data:\n  ", "data:\n", "&sig=aaaa", "%253A", "&#58;", "=\n", "p\u0430"),
    *(
        "-----END " + "PRIVATE KEY-----\n",
        "-----END " + "PRIVATE KEY-----aaaaaaaaaaaaaaaaaaaa\n",
        "Private-Lines: 1\na\n",
    ),
    *(
        "the password for a b c is now ",
        "password:\n ",
        "mot de passe ",
        "api key for x of y ",
        "echo a | sudo -S ",
        "net use x /user:a b ",
        "configure set a b ",
    ),
    *(
        "define('password', ",
        "auth=('a', ",
        "ENV PASSWORD ",
        "identified with x by '",
        "password = ('a'\n 'b'",
        "<td>password</td>",
    ),
    *("ghp_", "https://hooks.slack.com/services/", "cGFzc3dvcmQ9aHVudGVyMg==\n", ";password=", "pass=;", "a.b=(", "_"),
)


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_text_makes_the_time_grow_faster_than_itself(unit: str) -> None:
    def cost(size: int) -> float:
        text = (unit * (size // len(unit.encode()))).encode()
        return cpu_s(lambda: OURS.find(text))

    assert cost(32_000) < max(4 * 2.5 * cost(8_000), 0.2)


def test_every_part_has_the_label_of_the_whole() -> None:
    parts: tuple[Detector, ...] = parts_of(OURS)
    assert {part.label for part in parts} == {OURS.label}
    assert samples.PASSWORD not in repr(parts)
