"""Responses of a SAML identity provider, as tests want them; signed by libxmlsec, which is not what we verify with."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

from countersign.config.types_portal import SamlProvider

NOW_S = 1_760_000_000.0
IDP = "https://idp.example.com/saml"
PORTAL = "https://gateway.example.com/portal"
ACS = f"{PORTAL}/saml/company/acs"
AUDIENCE = f"{PORTAL}/saml/company/metadata"
TOKEN_URL = f"{PORTAL}/token"
REQUEST_ID = "_request1"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
_DS = "http://www.w3.org/2000/09/xmldsig#"


@dataclass(frozen=True)
class Signer:
    """A key with its certificate."""

    key_pem: bytes
    certificate_pem: str

    @classmethod
    def made(
        cls, name: str = "idp", *, curve: bool = False, bits: int = 2048, from_s: float = NOW_S - 60, days: int = 1
    ) -> Signer:
        key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, bits)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        start = datetime.fromtimestamp(from_s, UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(pem, certificate.public_bytes(serialization.Encoding.PEM).decode())

    def sign(
        self,
        document: bytes,
        identifier: str,
        *,
        method: Any = xmlsec.Transform.RSA_SHA256,
        digest: Any = xmlsec.Transform.SHA256,
        c14n: Any = xmlsec.Transform.EXCL_C14N,
        uri: str | None = None,
        key: Any = None,
    ) -> bytes:
        """Return the document with a signature after the Issuer of the element with this ID."""
        root = etree.fromstring(document)
        xmlsec.tree.add_ids(root, ["ID"])
        element = next(one for one in root.iter() if one.get("ID") == identifier)
        signature = xmlsec.template.create(element, c14n, method, ns="ds")
        element.insert(1, signature)
        reference = xmlsec.template.add_reference(signature, digest, uri=f"#{identifier}" if uri is None else uri)
        xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
        xmlsec.template.add_transform(reference, c14n)
        info = xmlsec.template.ensure_key_info(signature)
        xmlsec.template.add_x509_data(info)
        context = xmlsec.SignatureContext()
        context.key = key or xmlsec.Key.from_memory(self.key_pem, xmlsec.KeyFormat.PEM)
        if key is None:
            context.key.load_cert_from_memory(self.certificate_pem.encode(), xmlsec.KeyFormat.PEM)
        context.sign(signature)
        return bytes(etree.tostring(root))

    def provider(self, *, subject: str = "", groups: str = "groups") -> SamlProvider:
        return SamlProvider(
            name="company",
            entity_id=IDP,
            sso_url="https://idp.example.com/sso",
            certificates=(self.certificate_pem,),
            subject=subject,
            groups=groups,
        )


@dataclass(frozen=True)
class Told:
    """What a provider says; an empty text leaves the thing out."""

    name_id: str = "alice@example.com"
    name_format: str = PERSISTENT
    issuer: str = IDP
    response_issuer: str = IDP
    audience: str = AUDIENCE
    recipient: str = ACS
    destination: str = ACS
    in_response_to: str = REQUEST_ID
    confirmed_request: str = REQUEST_ID
    not_before_s: float = NOW_S - 5
    ends_s: float = NOW_S + 300
    confirmed_until_s: float | None = NOW_S + 300
    confirmation: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    confirmed_from_s: float | None = None
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    session_index: str = "_session1"
    session_end_s: float | None = None
    signed_in_s: float | None = NOW_S - 30
    assertion_id: str = "_assertion1"
    response_id: str = "_response1"
    groups: tuple[str, ...] = ("engineering", "on-call")
    attributes: str = ""
    conditions: str = ""
    version: str = "2.0"
    raw_name: str = ""

    def but(self, **changes: Any) -> Told:
        return replace(self, **changes)

    def assertion(self) -> bytes:
        """Return the assertion alone, unsigned."""
        groups = "".join(f"<saml:AttributeValue>{escape(group)}</saml:AttributeValue>" for group in self.groups)
        name = self.raw_name or escape(self.name_id)
        restriction = (
            f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
        )
        statement = (
            f'<saml:AuthnStatement AuthnInstant="{at(self.signed_in_s)}"{_set("SessionIndex", self.session_index)}'
            f"{_until('SessionNotOnOrAfter', self.session_end_s)}><saml:AuthnContext><saml:AuthnContextClassRef>"
            "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
            "</saml:AuthnStatement>"
        )
        return (
            f'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{self.assertion_id}" '
            f'Version="{self.version}" IssueInstant="{at(NOW_S)}"><saml:Issuer>{self.issuer}</saml:Issuer>'
            f'<saml:Subject><saml:NameID Format="{self.name_format}">{name}</saml:NameID>'
            f'<saml:SubjectConfirmation Method="{self.confirmation}"><saml:SubjectConfirmationData'
            f"{_set('Recipient', self.recipient)}{_set('InResponseTo', self.confirmed_request)}"
            f"{_until('NotOnOrAfter', self.confirmed_until_s)}{_until('NotBefore', self.confirmed_from_s)}/>"
            "</saml:SubjectConfirmation></saml:Subject>"
            f'<saml:Conditions NotBefore="{at(self.not_before_s)}" NotOnOrAfter="{at(self.ends_s)}">'
            f"{restriction if self.audience else ''}{self.conditions}</saml:Conditions>"
            f"{'' if self.signed_in_s is None else statement}"
            f'<saml:AttributeStatement><saml:Attribute Name="groups">{groups}</saml:Attribute>{self.attributes}'
            "</saml:AttributeStatement></saml:Assertion>"
        ).encode()

    def response(self, assertion: bytes | None = None) -> bytes:
        """Return a response with that assertion, unsigned."""
        inner = (self.assertion() if assertion is None else assertion).decode()
        issuer = f"<saml:Issuer>{self.response_issuer}</saml:Issuer>" if self.response_issuer else ""
        return (
            '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" '
            f'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{self.response_id}" Version="2.0" '
            f'IssueInstant="{at(NOW_S)}"{_set("Destination", self.destination)}'
            f"{_set('InResponseTo', self.in_response_to)}>{issuer}"
            f'<samlp:Status><samlp:StatusCode Value="{self.status}"/></samlp:Status>{inner}</samlp:Response>'
        ).encode()

    def signed(self, signer: Signer, *, assertion: bool = True, response: bool = False, **how: Any) -> bytes:
        """Return a response of which the assertion, the whole, or both are signed."""
        document = self.response()
        if assertion:
            document = signer.sign(document, self.assertion_id, **how)
        if response:
            document = signer.sign(document, self.response_id, **how)
        return document


def at(moment_s: float | None) -> str:
    """Return a time as SAML writes it."""
    return f"{datetime.fromtimestamp(moment_s or 0, UTC):%Y-%m-%dT%H:%M:%S}Z"


def posted(document: bytes) -> str:
    """Return a document as the form field ``SAMLResponse`` holds it."""
    return base64.b64encode(document).decode()


def granted(document: bytes) -> str:
    """Return a document as the parameter ``assertion`` of a token request holds it."""
    return base64.urlsafe_b64encode(document).decode().rstrip("=")


def _set(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""


def _until(name: str, moment_s: float | None) -> str:
    return "" if moment_s is None else f' {name}="{at(moment_s)}"'
