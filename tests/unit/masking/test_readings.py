"""The promise: what a decoder of escapes would show is masked where it is written, and nothing else changes."""

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countersign.masking import Masker
from countersign.masking.fields import Field
from countersign.masking.readings import Reading, readings
from countersign.masking.replacements import Redacted
from tests.support.cost import cpu_s
from tests.unit.masking import canaries


def _codes(form: Callable[[int], str]) -> Callable[[str], str]:
    """Write all but letters and digits, and the first character, as codes."""
    return lambda text: "".join(
        char if index and char.isalnum() else form(ord(char)) for index, char in enumerate(text)
    )


ESCAPES: dict[str, Callable[[str], str]] = {
    "JSON": _codes("\\u{:04x}".format),
    "JSON twice": _codes("\\\\u{:04X}".format),
    "JSON thrice": _codes("\\\\\\\\u{:04X}".format),
    "Python": _codes("\\x{:02x}".format),
    "JavaScript": _codes("\\u{{{:x}}}".format),
    "long": _codes("\\U{:08x}".format),
    "octal": _codes("\\{:03o}".format),
    "punctuation": lambda text: "".join(char if char.isalnum() else f"\\{char}" for char in text),
    "HTML": _codes("&#{};".format),
    "HTML without semicolons": lambda text: text.replace("@", "&#64").replace("-", "&#45 ").replace("11", "1&#49;", 1),
    "HTML by name": lambda text: text.replace("@", "&commat;").replace(".", "&period;").replace("-", "&#45;"),
    "HTML twice": _codes("&amp;#{};".format),
    "behind a line": lambda text: f"a\\n{text}\\tb",
    "URIs": _codes("%{:02X}".format),
    "URIs twice": _codes("%25{:02x}".format),
    "mail": lambda text: f"quoted-printable\n\n{text[:5]}=\r\n{_codes('={:02X}'.format)(text[5:])}",
    "across lines": lambda text: text[:4] + "\\\n" + text[4:],
}
TEXTS = {
    "cut off": '{{"note": "{}", "c": ',
    "in prose": 'x {{"note": "{}"}} y',
    "in a fence": 'So:\n```json\n{{"note": "{}"}}\n```\n',
    "two in a row": '{{"note": "{}"}}{{"note": 1}}',
    "code": "{{'a': [\"{}\"]}}",
    "beside a name": "k: {}",
    "alone": "{}",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("canary", [canaries.EMAIL, canaries.CARD, canaries.SSN], ids=["email", "card", "ssn"])
def test_values_behind_escapes_are_masked_and_nothing_around_them(
    masker: Masker, canary: str, escape: str, text: str
) -> None:
    written = TEXTS[text].format(ESCAPES[escape](canary))
    masked = masker.text(written.encode()).data.decode()
    assert canary not in masked
    assert not any(canary in reading.text for reading in readings(masked))
    before, after = TEXTS[text].format("\0").split("\0")
    assert masked.startswith(before)
    assert masked.endswith(after)
    in_body = masker.json(json.dumps({"content": [{"type": "text", "text": written}]}).encode()).data
    assert json.loads(in_body)["content"][0]["text"] == masked


def _wide(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if char != " " else "\u3000" for char in text)


CARD_IN_GROUPS = " ".join(canaries.CARD[at : at + 4] for at in range(0, 16, 4))
DISGUISES = {
    "wide": _wide(canaries.EMAIL),
    "wide digits": _wide(canaries.SSN),
    "mathematical": "".join(chr(0x1D7CE + int(digit)) for digit in canaries.CARD),
    "invisible": "\u200b".join(canaries.EMAIL),
    "tagged": "\U000e0041".join(canaries.EMAIL),
    "filled": "\u3164".join(canaries.EMAIL),
    "soft hyphens": canaries.CARD[:8] + "\u00ad" + canaries.CARD[8:],
    "no-break hyphens": canaries.SSN.replace("-", "\u2011"),
    "dashes": canaries.SSN.replace("-", "\u2013"),
    "minus": canaries.SSN.replace("-", "\u2212"),
    "no-break blanks": CARD_IN_GROUPS.replace(" ", "\u00a0"),
    "narrow blanks": CARD_IN_GROUPS.replace(" ", "\u202f"),
    "another script": canaries.EMAIL.replace("a", "\u0430"),
    "escaped": canaries.SSN.replace("-", "\\u2011"),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_values_in_disguise_are_masked_and_nothing_around_them(masker: Masker, disguise: str, text: str) -> None:
    written = TEXTS[text].format(DISGUISES[disguise])
    masked = masker.text(written.encode()).data.decode()
    before, after = TEXTS[text].format("\0").split("\0")
    assert re.fullmatch(f"{re.escape(before)}\\[[A-Z_]+]{re.escape(after)}", masked)
    for ascii_only in (True, False):
        in_body = masker.json(json.dumps({"content": [{"text": written}]}, ensure_ascii=ascii_only).encode()).data
        assert json.loads(in_body)["content"][0]["text"] == masked


@pytest.mark.parametrize(
    "text",
    [
        "Voil\u00e0\u00a0: 10\u00a0000\u00a0\u20ac, pages 415\u2013555, 1984\u20132024\u00a0!",
        "Bonjour\u202f! Prix\u00a0: 20\u00a0\u20ac \u2014 au 12\u00a0mai 2024",
        "\u4eca\u5929\uff0c\u65b9\u6848\uff1aA\u3002\uff08\uff13\uff09\u3000\uff12\uff10\uff12\uff14",
        "great \u2764\ufe0f \U0001f44d\U0001f3fd fam\u200bily and x\u00a0= 3 \u2212 2",
        "VPN-\u0441\u0435\u0440\u0432\u0438\u0441 iPhon\u0435 \u03b1=0.05 p\u2013value",
        "a=\nb=3D and 50% of 20%, a%2Fb https://x.test/a%20b?c=%7B%7D 100%zz %FF" + "%" * 50,
    ],
)
def test_print_with_nothing_to_mask_stays(masker: Masker, text: str) -> None:
    assert masker.text(text.encode()).data.decode() == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://shop.test/u?mail=bob%40example.org&page=2", "https://shop.test/u?mail=[EMAIL]&page=2"),
        ("mailto:bob%40example.org?subject=hi", "mailto:[EMAIL]?subject=hi"),
        ("orders://by/b%6Fb%40example%2Eorg/x", "orders://by/[EMAIL]/x"),
        ("see a%2Fb and bob%2540example.org.", "see a%2Fb and [EMAIL]."),
        ("file:///caf%C3%A9%20bob%40example.org", "file:///caf%C3%A9%20[EMAIL]"),
        ("%D1%82%20bob%40example.org%0Ax", "%D1%82%20[EMAIL]%0Ax"),
    ],
)
def test_only_what_is_masked_changes_in_a_uri(masker: Masker, text: str, expected: str) -> None:
    assert masker.text(text.encode()).data.decode() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("?q=ssn%3A%20x", "?q=ssn%3A%20[SSN]"),
        ("ssn\uff1a abc", "ssn\uff1a [SSN]"),
        ("\uff33\uff33\uff2e\u00a0: abc", "\uff33\uff33\uff2e\u00a0: [SSN]"),
        ('{"\\u0073sn": "abc", "c": ', '{"\\u0073sn": "[SSN]", "c": '),
        ("x {'s\\x73n': 'abc def', 'b': 1} y", "x {'s\\x73n': '[SSN]', 'b': 1} y"),
        ("print('a: b\\nssn: abc\\nc: d')", "print('a: b\\nssn: [SSN]\\nc: d')"),
        ("&quot;ssn&quot;: &quot;abc&quot;, b", "&quot;ssn&quot;: &quot;[SSN]&quot;, b"),
        ('{"csv": "id,ssn\\n1,abc\\n2,def', '{"csv": "id,ssn\\n1,[SSN]\\n2,[SSN]'),
    ],
)
def test_named_fields_are_found_behind_escapes(text: str, expected: str) -> None:
    masker = Masker([], [Field.of("ssn", lambda _: Redacted("[SSN]"))])
    assert masker.text(text.encode()).data.decode() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('password = "hun\\"ter2 and more" x', 'password = "[SECRET]" x'),
        ("password = 'hun\\'ter2 and more' x", "password = '[SECRET]' x"),
        ('"password = \\"hun\\\\\\"ter2 and more\\" x"', '"password = \\"[SECRET]\\" x"'),
        ('x "password = \\"hunter2\\" user = \\"bob\\"" y', 'x "password = \\"[SECRET]\\" user = \\"bob\\"" y'),
        ('{"a": "{\\"password\\": \\"hun\\\\\\"ter2 and more\\", \\"b\\": 1}", ', None),
        ('run --password "hun\\"ter2 and more" --x', 'run --password "[SECRET]" --x'),
    ],
)
def test_quoted_secrets_are_masked_to_the_mark_that_closes_them(
    masker: Masker, text: str, expected: str | None
) -> None:
    masked = masker.text(text.encode()).data.decode()
    assert "hun" not in masked
    assert "more" not in masked
    assert expected is None or masked == expected


@pytest.mark.parametrize(
    "text",
    [
        "C:\\new\\users\\temp\\x40\\u0041bc and \\d{3}-\\w+ &amp; more \\u00e9 \\ud83d \\ud83d\\ude00 &bogus; \\",
        'He said: "a\\tb\\nc" & so on; x&y; A&#0; &#99999999; \\U00ffffff \\u{110000} \\400',
        "{'price': '\\u20ac 12.50', 'at': '10:15\\n'}",
    ],
)
def test_escapes_of_nothing_to_mask_stay(masker: Masker, text: str) -> None:
    assert masker.text(text.encode()).data.decode() == text


@given(st.text(alphabet='a1é🦊 \n"', max_size=40))
@example("")
def test_a_reading_is_what_was_written_with_escapes(text: str) -> None:
    written = json.dumps(text)[1:-1]
    read = [reading.text for reading in readings(written)]
    assert read[:1] == ([text] if written != text else [])


def stretches(text: str, data: st.DataObject) -> Iterator[tuple[Reading, int, int]]:
    """What a text reads as, each with a stretch of it."""
    for reading in readings(text):
        if reading.text:
            start = data.draw(st.integers(0, len(reading.text) - 1))
            yield reading, start, data.draw(st.integers(start + 1, len(reading.text)))


@given(st.text(alphabet="14a:=%3D4\r\n\\ \u00a0\u2011\u200b\u0430\uff11\uff1a\U0001d7d2\u00e9", max_size=60), st.data())
def test_every_stretch_of_a_reading_stands_somewhere(text: str, data: st.DataObject) -> None:
    for reading, start, end in stretches(text, data):
        first, last = reading.written(start, end)
        assert 0 <= first < last <= len(text)
        assert reading.written(0, len(reading.text))[0] <= first
        assert last <= reading.written(0, len(reading.text))[1]


@given(st.text(alphabet='\\u004&#;x"n@a1 \n🦊', max_size=60), st.data())
def test_every_stretch_of_a_reading_stands_as_it_was_written(text: str, data: st.DataObject) -> None:
    for reading, start, end in stretches(text, data):
        first, last = reading.written(start, end)
        assert 0 <= first < last <= len(text)
        inner = next(readings(text[first:last]), None)
        if len(reading.steps) == 1:
            assert reading.text[start:end] in (text[first:last] if inner is None else inner.text)


def test_only_what_stands_near_an_escape_is_read_again() -> None:
    text = "word " * 100_000 + "a\\u0040b" + " word" * 100_000
    (reading,) = readings(text)
    at = reading.text.index("a@b")
    assert len(reading.text) < 4_000
    assert text[slice(*reading.written(at, at + 3))] == "a\\u0040b"
    assert text[slice(*reading.written(0, len(reading.text)))].strip() == text.strip() or at < 600


@pytest.mark.parametrize("seed", range(3))
def test_values_are_masked_wherever_they_stand_in_long_texts(masker: Masker, seed: int) -> None:
    chance = random.Random(seed)
    parts = ["\\n" * chance.randrange(9) + "word " * chance.randrange(3_000) for _ in range(120)]
    masked = masker.text(f"{canaries.EMAIL[:6]}\\u002e{canaries.EMAIL[7:]} ".join(parts).encode()).data.decode()
    assert masked.count("[EMAIL]") == len(parts) - 1
    assert "example" not in masked


def test_no_text_makes_reading_slow() -> None:
    def read(text: str) -> Iterator[float]:
        for size in (4_000, 16_000):
            yield cpu_s(lambda size=size: [None for _ in readings(text * size)])  # type: ignore[misc]

    for text in ("\\", "\\\\n", "&a", "&#1", "\\u{0", html.escape("<&>"), "\u3000", "a\u3000", "\u2013", "\u200b"):
        small, large = read(text)
        assert large < 8 * small + 0.05, text
