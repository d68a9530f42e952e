"""Nothing leaves in a data URI or behind escapes that would not leave in clear."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from countersign.masking import MaskCatalog, Masker, NotMaskable
from tests.support.cost import cpu_s

MAIL = "canary@" + "example.org"
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()


@pytest.fixture(scope="module")
def masker(catalog: MaskCatalog) -> Masker:
    return catalog.select(["pii"])


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "uri",
    [
        f"data:text/plain;base64,{encoded(MAIL)}",
        f"DATA:text/plain;charset=utf-8;BASE64,{encoded(MAIL)}",
        f"data:;base64,{encoded('ab ' + MAIL).rstrip('=')}",
        f"data:image/png;base64,{quote(encoded('é? ' + MAIL), safe='')}",
        f"data:image/svg+xml;base64,{encoded('<?>>' + MAIL).translate(str.maketrans('+/', '-_'))}",
        f"data:text/plain,{quote(MAIL)}",
        f"data:application/json;base64,{encoded(json.dumps({'ssn': 'x'}))}",
    ],
)
def test_what_a_data_uri_holds_is_masked_with_it(masker: Masker, uri: str) -> None:
    for text in (uri, f"see ![it]({uri}) and <a href='{uri}'>"):
        masked = masker.text(text.encode())
        assert uri.partition(",")[2].encode() not in masked.data
        assert b",[DATA]" in masked.data


@pytest.mark.parametrize("uri", [f"data:image/png;base64,{PICTURE}", "data:text/plain,hello", "data:,", "data:a,!%"])
def test_a_data_uri_with_nothing_to_mask_stays(masker: Masker, uri: str) -> None:
    assert masker.text(f"see {uri}.".encode()).data == f"see {uri}.".encode()


def test_a_data_uri_that_cannot_be_masked_is_refused(masker: Masker) -> None:
    ambiguous = encoded('{"a":1,"a":2}')
    with pytest.raises(NotMaskable):
        masker.text(f"data:application/json;base64,{ambiguous}".encode())


def test_without_masks_nothing_is_looked_at(catalog: MaskCatalog) -> None:
    text = f"data:text/plain;base64,{encoded(MAIL)}".encode()
    assert catalog.select([]).text(text).data == text


def test_in_a_text_of_very_many_nothing_slips_through(masker: Masker) -> None:
    text = " ".join(f"data:,{number}" for number in range(100)) + f" data:,{quote(MAIL)}"
    assert b"data:,[DATA]" in masker.text(text.encode()).data
    assert b"canary" not in masker.text(text.encode()).data


@pytest.mark.parametrize("piece", [b"data:", b"data:,a ", b"data:a,data:", b"data:" + b"x" * 300])
def test_many_of_them_take_no_more_time_than_their_size(masker: Masker, piece: bytes) -> None:
    def cost_s(count: int) -> float:
        return cpu_s(lambda: masker.text(piece * count))

    assert cost_s(5_000) < 25 * max(cost_s(500), 0.004)
