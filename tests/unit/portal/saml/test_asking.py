"""What providers are told of us."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from countersign.portal.saml.asking import Places, metadata, request_url
from tests.support.saml_documents import ACS, AUDIENCE, NOW_S, PORTAL, Signer

_MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_PLACES = Places.of(PORTAL, "company")


@pytest.mark.parametrize("sso_url", ["https://idp.example.com/sso", "https://idp.example.com/sso?app=7&x=%2F"])
def test_a_request_says_who_asks_and_where_to_answer(sso_url: str, signer: Signer) -> None:
    url = request_url(replace(signer.provider(), sso_url=sso_url), _PLACES, "_r1", "state", NOW_S)
    assert url.startswith(sso_url)
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert query["RelayState"] == ["state"]
    request = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -zlib.MAX_WBITS))
    assert dict(request.attrib.items()) == {
        "ID": "_r1",
        "Version": "2.0",
        "IssueInstant": "2025-10-09T08:53:20Z",
        "Destination": sso_url,
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "AssertionConsumerServiceURL": ACS,
    }
    assert [child.text for child in request] == [AUDIENCE]


def test_metadata_names_where_answers_go_and_asks_for_signed_assertions() -> None:
    entity = etree.fromstring(metadata(_PLACES))
    assert (entity.tag, entity.get("entityID")) == (f"{_MD}EntityDescriptor", AUDIENCE)
    (ours,) = entity
    assert ours.get("WantAssertionsSigned") == "true"
    (consumer,) = ours.findall(f"{_MD}AssertionConsumerService")
    assert consumer.get("Location") == ACS


def test_that_no_two_providers_know_us_by_one_name() -> None:
    assert Places.of(PORTAL, "other").entity_id != _PLACES.entity_id
