"""Hostile XML: nothing is fetched, nothing expands, nothing runs away, nothing is read in two ways."""

from __future__ import annotations

import pytest

from countersign.portal.saml.document import parse
from countersign.portal.saml.refused import SamlRefused
from tests.support.cost import cpu_s
from tests.support.saml_documents import Signer, Told
from tests.unit.portal.saml.judging import judged

_ENTITY = b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
_BOMB = b'<!DOCTYPE r [<!ENTITY a "%s"><!ENTITY b "%s"><!ENTITY c "%s">]>' % (b"ha" * 10, b"&a;" * 10, b"&b;" * 10)
_PARAMETER = b'<!DOCTYPE r [<!ENTITY %% x SYSTEM "http://127.0.0.1:9/x.dtd"> %%x;]>'.replace(b"%%", b"%")


@pytest.mark.parametrize(
    "prolog",
    [
        pytest.param(_ENTITY, id="external-entity"),
        pytest.param(_BOMB, id="entity-bomb"),
        pytest.param(_PARAMETER, id="parameter-entity"),
        pytest.param(b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">', id="external-dtd"),
        pytest.param(b"<?xml-stylesheet href='http://127.0.0.1:9/x'?>", id="instruction"),
        pytest.param(b"<!-- beside -->", id="comment"),
    ],
)
@pytest.mark.parametrize("declared", [b"", b'<?xml version="1.0" encoding="UTF-8"?>'], ids=["bare", "declared"])
def test_that_prologs_other_than_a_declaration_are_refused(prolog: bytes, declared: bytes, signer: Signer) -> None:
    with pytest.raises(SamlRefused, match="a DTD, an entity, a comment"):
        judged(declared + prolog + Told().signed(signer), signer)


def test_that_a_declaration_is_no_trouble(signer: Signer) -> None:
    document = b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>\n' + Told().signed(signer)
    assert judged(document, signer).subject == "alice@example.com"


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        pytest.param("admin@example.com.evil.example", "admin@example.com<!-- -->.evil.example", id="truncated"),
        pytest.param("admin@example.com", "admin<!---->@example.com", id="joined"),
        pytest.param("admin@example.com", "<![CDATA[admin]]>@example.com", id="cdata"),
        pytest.param("admin@example.com", "admin<?x y?>@example.com", id="instruction"),
    ],
)
def test_that_a_name_with_a_comment_in_it_is_refused_and_not_cut(name: str, cut: str, signer: Signer) -> None:
    """Canonical XML has no comments: the provider's signature is good with them."""
    document = Told(name_id=name).signed(signer)
    assert judged(document, signer).subject == name
    document = document.replace(name.encode(), cut.encode())
    assert cut.encode() in document
    with pytest.raises(SamlRefused, match="a comment, CDATA"):
        judged(document, signer)


def test_that_elements_inside_a_name_are_refused(signer: Signer) -> None:
    with pytest.raises(SamlRefused, match="holds elements"):
        judged(Told(raw_name="admin<b/>@example.com").signed(signer), signer)


@pytest.mark.parametrize("codec", ["utf-16", "utf-7", "utf-32", "cp037"])
def test_that_other_encodings_do_not_hide_a_dtd(codec: str) -> None:
    text = f'<?xml version="1.0" encoding="{codec}"?>' + _ENTITY.decode() + "<r>&x;</r>"
    encoded = text.encode(codec)
    with pytest.raises(SamlRefused):
        parse(encoded)


def test_that_a_declared_encoding_is_not_believed() -> None:
    root = parse('<?xml version="1.0" encoding="iso-8859-1"?><r>é</r>'.encode())
    assert root.text == "é"


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(b"<a>" + b" " * 256 * 1024 + b"</a>", id="huge"),
        pytest.param(b"<a>" * 20_000, id="deep-and-open"),
        pytest.param(b"<a>" * 200 + b"</a>" * 200, id="deep"),
        pytest.param(b"<r>" + b"<a/>" * 50_000 + b"</r>", id="wide"),
        pytest.param(b"<r " + b" ".join(b'a%d=""' % n for n in range(20_000)) + b"/>", id="attributes"),
        pytest.param(b"<r " + b" ".join(b'xmlns:a%d="u"' % n for n in range(10_000)) + b"/>", id="namespaces"),
        pytest.param(b"<r><a ID='1'/><b Id='1'/></r>", id="same-ids"),
        pytest.param(b"<r" * 60_000, id="unfinished"),
        pytest.param(b"<r>&x;</r>", id="undeclared-entity"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00", id="nul"),
    ],
)
def test_that_hostile_documents_are_refused_soon(hostile: bytes) -> None:
    def refused() -> None:
        with pytest.raises(SamlRefused):
            parse(hostile)

    assert cpu_s(refused) < 0.3


def test_that_the_worst_document_within_bounds_is_verified_soon(signer: Signer) -> None:
    """Namespaces on each of many elements, within a signed assertion: what canonical XML has to sort."""
    names = " ".join(f'xmlns:n{n}="urn:n:{n}"' for n in range(25))
    values = f"<saml:AttributeValue {names}>x</saml:AttributeValue>" * 60
    document = Told(
        attributes=f'<saml:Attribute Name="many">{values}{"<saml:AttributeValue/>" * 4000}</saml:Attribute>'
    )
    signed = document.signed(signer)
    assert cpu_s(lambda: judged(signed, signer)) < 0.5
