"""Signature wrapping: the eight ways of "On Breaking SAML" (Somorovsky et al., 2012), and some more.

Each takes a validly signed response and has another assertion beside, around or inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
from lxml import etree

from countersign.portal.saml import response as under_test
from countersign.portal.saml.document import Element
from countersign.portal.saml.refused import SamlRefused
from tests.support.saml_documents import Signer, Told
from tests.unit.portal.saml.judging import judged

_SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_EVIL = "admin@example.com"
Wrap = Callable[[Element], Element]


def _evil(element: Element, *, keep_id: bool = False, keep_signature: bool = False) -> Element:
    """Return a copy that names another person."""
    copy = deepcopy(element)
    for name in copy.iter(f"{_SAML}NameID"):
        name.text = _EVIL
    if not keep_id:
        copy.set("ID", "_evil")
    if not keep_signature:
        for signature in copy.findall(f"{_DS}Signature"):
            copy.remove(signature)
    return copy


def _bare(element: Element) -> Element:
    copy = deepcopy(element)
    for signature in copy.findall(f"{_DS}Signature"):
        copy.remove(signature)
    return copy


def _assertion(root: Element) -> Element:
    found = root.find(f"{_SAML}Assertion")
    assert found is not None
    return found


def _signature(holder: Element) -> Element:
    found = holder.find(f"{_DS}Signature")
    assert found is not None
    return found


def xsw1(root: Element) -> Element:
    evil = _evil(root, keep_signature=True)
    _signature(evil).append(_bare(root))
    return evil


def xsw2(root: Element) -> Element:
    evil = _evil(root, keep_signature=True)
    signature = _signature(evil)
    evil.insert(evil.index(signature), _bare(root))
    return evil


def xsw3(root: Element) -> Element:
    assertion = _assertion(root)
    root.insert(root.index(assertion), _evil(assertion))
    return root


def xsw4(root: Element) -> Element:
    assertion = _assertion(root)
    evil = _evil(assertion)
    root.replace(assertion, evil)
    evil.append(assertion)
    return root


def xsw5(root: Element) -> Element:
    assertion = _assertion(root)
    evil = _evil(assertion, keep_signature=True)
    root.replace(assertion, evil)
    root.append(_bare(assertion))
    return root


def xsw6(root: Element) -> Element:
    assertion = _assertion(root)
    evil = _evil(assertion, keep_signature=True)
    root.replace(assertion, evil)
    _signature(evil).append(_bare(assertion))
    return root


def xsw7(root: Element) -> Element:
    extensions = etree.Element(f"{_SAMLP}Extensions")
    root.insert(1, extensions)
    extensions.append(_evil(_assertion(root), keep_id=True))
    return root


def xsw8(root: Element) -> Element:
    assertion = _assertion(root)
    evil = _evil(assertion, keep_signature=True)
    root.replace(assertion, evil)
    etree.SubElement(_signature(evil), f"{_DS}Object").append(_bare(assertion))
    return root


def same_id(root: Element) -> Element:
    assertion = _assertion(root)
    root.insert(root.index(assertion), _evil(assertion, keep_id=True))
    return root


def same_id_in_other_case(root: Element) -> Element:
    assertion = _assertion(root)
    evil = _evil(assertion)
    evil.set("Id", assertion.get("ID") or "")
    del evil.attrib["ID"]
    root.insert(root.index(assertion), evil)
    return root


def moved_signature(root: Element) -> Element:
    """The signature goes to the response, of which it is not."""
    assertion = _assertion(root)
    signature = _signature(assertion)
    root.insert(1, signature)
    for name in root.iter(f"{_SAML}NameID"):
        name.text = _EVIL
    return root


def in_key_info(root: Element) -> Element:
    """What a signature says of its key is covered by no signature."""
    assertion = _assertion(root)
    key_info = _signature(assertion).find(f"{_DS}KeyInfo")
    assert key_info is not None
    key_info.append(_evil(assertion))
    return root


def in_another_response(root: Element) -> Element:
    evil = _evil(root)
    evil.set("ID", "_evil-response")
    evil.insert(1, root)
    return evil


OF_ASSERTIONS = [xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, same_id, same_id_in_other_case, moved_signature, in_key_info]
OF_RESPONSES = [xsw1, xsw2, xsw3, xsw7, same_id, in_another_response]
EVERY = [
    *((wrap, (True, False)) for wrap in [*OF_ASSERTIONS, in_another_response]),
    *((wrap, (False, True)) for wrap in OF_RESPONSES),
    *((wrap, (True, True)) for wrap in [*OF_ASSERTIONS, *OF_RESPONSES[:2]]),
]


def _wrapped(wrap: Wrap, what: tuple[bool, bool], signer: Signer) -> bytes:
    honest = Told().signed(signer, assertion=what[0], response=what[1])
    assert judged(honest, signer).subject == "alice@example.com"
    document: bytes = etree.tostring(wrap(etree.fromstring(honest)))
    assert _EVIL.encode() in document
    return document


def _named(case: tuple[Wrap, tuple[bool, bool]]) -> str:
    wrap, (assertion, response) = case
    return (
        f"{wrap.__name__}-{'assertion' * assertion}{'-and-' * (assertion and response)}{'response' * response}-signed"
    )


@pytest.mark.parametrize("case", EVERY, ids=_named)
def test_that_a_wrapped_signature_signs_nobody_in(case: tuple[Wrap, tuple[bool, bool]], signer: Signer) -> None:
    document = _wrapped(*case, signer)
    with pytest.raises(SamlRefused) as refused:
        judged(document, signer)
    assert _EVIL not in refused.value.reason


@pytest.mark.parametrize("case", EVERY, ids=_named)
def test_that_wrapping_names_nobody_else_even_where_surplus_is_not_looked_for(
    case: tuple[Wrap, tuple[bool, bool]], signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is signed alone is read: a second assertion that nobody noticed still says nothing."""
    document = _wrapped(*case, signer)
    monkeypatch.setattr(under_test, "_no_surplus", lambda root: None)
    try:
        subject = judged(document, signer).subject
    except SamlRefused:
        return
    assert subject == "alice@example.com"
