"""What is signed: an element comes back only as the bytes that a provider's signature covers (XML Signature 1.1).

signxml does the cryptography. Before it, the signature must have the one shape that SAML core, section 5.4, allows: an
enveloped signature of its own parent and of nothing else.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection
from datetime import UTC, datetime

from cryptography.x509 import Certificate, load_pem_x509_certificate
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from countersign.config.types_portal import SamlProvider
from countersign.portal.saml.document import Element, children, only, parse
from countersign.portal.saml.names import ASSERTION, DS, ENVELOPED, EXCLUSIVE, SIGNATURE
from countersign.portal.saml.refused import SamlRefused

_METHODS = {
    *(SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512),
    *(SignatureMethod.SHA256_RSA_MGF1, SignatureMethod.SHA384_RSA_MGF1, SignatureMethod.SHA512_RSA_MGF1),
    *(SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512),
}
_DIGESTS = {DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}
_SHAPE = [f"{{{DS}}}SignedInfo", f"{{{DS}}}SignatureValue", f"{{{DS}}}KeyInfo"]
_LONGEST_PREFIXES = 256
_MOST_IN_INFO = 16

# It writes what it canonicalizes, whole assertions, at DEBUG.
logging.getLogger("signxml").setLevel(logging.WARNING)


@functools.lru_cache(maxsize=64)
def certificates(provider: SamlProvider) -> tuple[Certificate, ...]:
    """Return a provider's certificates, whose keys were judged when gateway.yaml was read."""
    return tuple(load_pem_x509_certificate(pem.encode()) for pem in provider.certificates)


def signed_by(signatory: Element) -> bool:
    """Return whether an element has a signature of its own. Raises ``SamlRefused`` for several."""
    found = children(signatory, SIGNATURE)
    if len(found) > 1:
        raise SamlRefused("an element has more than one signature")
    return bool(found)


def verified(root: Element, signatory: Element, trusted: Collection[Certificate], now_s: float) -> Element:
    """Return ``signatory``, which is ``root`` or a child of it, as its signature covers it, without that signature.

    Any one of ``trusted`` may have signed; what the message says of keys is not read. What comes back was parsed from
    the very bytes that were digested. Raises ``SamlRefused``.
    """
    _well_shaped(signatory)
    location = "./" if signatory is root else f"./{ASSERTION}/"
    document = etree.tostring(root)
    expired = 0
    for certificate in trusted:
        if not certificate.not_valid_before_utc.timestamp() <= now_s < certificate.not_valid_after_utc.timestamp():
            expired += 1
            continue
        covered = _covered(document, location, certificate, now_s)
        if covered is not None:
            return _same(parse(covered), signatory)
    if expired == len(trusted):
        raise SamlRefused("no certificate that gateway.yaml has of the identity provider is valid now")
    raise SamlRefused("the signature is not by a certificate that gateway.yaml has of the identity provider")


def _covered(document: bytes, location: str, certificate: Certificate, now_s: float) -> bytes | None:
    config = SignatureConfiguration(
        location=location,
        expect_references=1,
        signature_methods=frozenset(_METHODS),
        digest_algorithms=frozenset(_DIGESTS),
        verification_time=datetime.fromtimestamp(now_s, UTC),
    )
    try:
        result = XMLVerifier().verify(document, x509_cert=certificate, id_attribute="ID", expect_config=config)
    except Exception:
        # It raises errors of its own, of lxml, of cryptography and of Python; each means the same, and some quote.
        return None
    return None if isinstance(result, list) else result.signed_data


def _well_shaped(signatory: Element) -> None:
    signature = only(signatory, SIGNATURE)
    if [part.tag for part in signature] not in (_SHAPE[:2], _SHAPE):
        raise SamlRefused("the signature holds other things than SAML allows")
    info = only(signature, f"{{{DS}}}SignedInfo")
    # All of it is canonicalized, once for each certificate, before anybody is known to have signed it.
    if sum(1 for _ in info.iter()) > _MOST_IN_INFO:
        raise SamlRefused("the signature holds other things than SAML allows")
    _allowed(only(info, f"{{{DS}}}CanonicalizationMethod").get("Algorithm"), {EXCLUSIVE}, "canonicalization")
    _allowed(only(info, f"{{{DS}}}SignatureMethod").get("Algorithm"), {m.value for m in _METHODS}, "signature")
    reference = only(info, f"{{{DS}}}Reference")
    identifier = signatory.get("ID")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise SamlRefused("the signature is of another element than the one that holds it")
    transforms = list(only(reference, f"{{{DS}}}Transforms"))
    if [transform.get("Algorithm") for transform in transforms] != [ENVELOPED, EXCLUSIVE]:
        raise SamlRefused("the signature transforms what it covers in other ways than SAML allows")
    _allowed(only(reference, f"{{{DS}}}DigestMethod").get("Algorithm"), {d.value for d in _DIGESTS}, "digest")
    for prefixes in info.iter(f"{{{EXCLUSIVE}}}InclusiveNamespaces"):
        if len(prefixes.get("PrefixList") or "") > _LONGEST_PREFIXES:
            raise SamlRefused("the signature lists too many namespaces")


def _allowed(algorithm: str | None, allowed: Collection[str], what: str) -> None:
    if algorithm not in allowed:
        raise SamlRefused(f"the {what} algorithm is not taken (SHA-1, MD5, HMAC, DSA and inclusive XML are not)")


def _same(covered: Element, signatory: Element) -> Element:
    if (covered.tag, covered.get("ID")) != (signatory.tag, signatory.get("ID")):
        raise SamlRefused("the signature is of another element than the one that holds it")
    return covered
