"""What a browser or client brings: a response of the web sign-in, or an assertion as a grant; checked, then read."""

from __future__ import annotations

import base64
import binascii

from countersign.config.types_portal import SamlProvider
from countersign.portal.saml.assertion import Asserted, Expected, issued_by, read
from countersign.portal.saml.document import Element, children, only, parse
from countersign.portal.saml.names import ASSERTION, RESPONSE, SAML, SAMLP, SIGNATURE, SUCCESS
from countersign.portal.saml.refused import SamlRefused
from countersign.portal.saml.signature import certificates, signed_by, verified


def of_response(field: str, provider: SamlProvider, expected: Expected, now_s: float) -> Asserted:
    """Return who signed in, by the form field ``SAMLResponse`` (bindings, section 3.5.4: base64).

    The response is signed, or its assertion, or both; each signature must be good. What is said of the person comes
    from signed bytes alone. Raises ``SamlRefused``.
    """
    root = parse(_decoded(field))
    if root.tag != RESPONSE:
        raise SamlRefused("it is not a response of SAML 2.0")
    _no_surplus(root)
    _answers(root, provider, expected)
    assertion = only(root, ASSERTION)
    trusted = certificates(provider)
    whole = verified(root, root, trusted, now_s) if signed_by(root) else None
    if signed_by(assertion):
        return read(verified(root, assertion, trusted, now_s), provider, expected, now_s)
    if whole is None:
        raise SamlRefused("neither the response nor its assertion is signed")
    return read(only(whole, ASSERTION), provider, expected, now_s)


def of_grant(parameter: str, provider: SamlProvider, expected: Expected, now_s: float) -> Asserted:
    """Return whom an assertion names, by the parameter ``assertion`` (RFC 7522, section 2.1: base64url).

    The assertion must be signed itself. Raises ``SamlRefused``.
    """
    root = parse(_decoded_url(parameter))
    if root.tag != ASSERTION:
        raise SamlRefused("it is not an assertion of SAML 2.0")
    _no_surplus(root)
    if not signed_by(root):
        raise SamlRefused("the assertion is not signed")
    return read(verified(root, root, certificates(provider), now_s), provider, expected, now_s)


def issuer_of_grant(parameter: str) -> str:
    """Return who says to have issued an assertion: good for choosing the provider by which ``of_grant`` judges it.

    Raises ``SamlRefused``.
    """
    root = parse(_decoded_url(parameter))
    return (only(root, f"{{{SAML}}}Issuer").text or "").strip()


def _no_surplus(root: Element) -> None:
    """Refuse every second assertion and every signature in a place of no meaning: all that wrapping needs."""
    if any(True for _ in root.iter(f"{{{SAML}}}EncryptedAssertion")):
        raise SamlRefused("the assertion is encrypted: have the identity provider sign it and not encrypt it")
    holders = [root, *children(root, ASSERTION)]
    if sum(1 for _ in root.iter(ASSERTION)) != 1 or sum(1 for _ in root.iter(RESPONSE)) > 1:
        raise SamlRefused("there must be exactly one assertion")
    if sum(1 for _ in root.iter(SIGNATURE)) != sum(len(children(holder, SIGNATURE)) for holder in holders):
        raise SamlRefused("there is a signature in a place where SAML has none")


def _answers(root: Element, provider: SamlProvider, expected: Expected) -> None:
    """Check what a response says of itself. Whether signed or not, it may not say another thing."""
    if root.get("Version") != "2.0":
        raise SamlRefused("the response is not of SAML 2.0")
    code = only(only(root, f"{{{SAMLP}}}Status"), f"{{{SAMLP}}}StatusCode").get("Value")
    if code != SUCCESS:
        raise SamlRefused("the identity provider did not sign the person in")
    if root.get("Destination") != expected.recipient:
        raise SamlRefused(f"the response is for another destination than {expected.recipient}")
    if root.get("InResponseTo") is None:
        raise SamlRefused("nobody asked for this response: begin at the gateway, not at the identity provider")
    if root.get("InResponseTo") != expected.request_id:
        raise SamlRefused("the response does not answer the request that this browser made")
    if children(root, f"{{{SAML}}}Issuer"):
        issued_by(root, provider)


def _decoded(field: str) -> bytes:
    try:
        # Some providers break it into lines (RFC 2045).
        return base64.b64decode("".join(field.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SamlRefused("it is not base64") from None


def _decoded_url(parameter: str) -> bytes:
    padded = parameter.rstrip("=")
    return _decoded(padded.translate(_TO_STANDARD) + "=" * (-len(padded) % 4))


_TO_STANDARD = str.maketrans("-_", "+/")
