"""What we tell an identity provider: who we are (metadata), and that a person is to sign in (AuthnRequest)."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from lxml import etree

from countersign.config.types_portal import SamlProvider
from countersign.portal.saml.instants import written
from countersign.portal.saml.names import HTTP_POST, METADATA, SAML, SAMLP


@dataclass(frozen=True, slots=True)
class Places:
    """Where we are, for one identity provider; ``entity_id`` is what we are called there: the URL of the metadata.

    Each provider knows us by another name, so that no assertion for one place is good at another.
    """

    entity_id: str
    login: str
    acs: str

    @classmethod
    def of(cls, portal: str, name: str) -> Places:
        """Return the places below ``portal``, its URL without a slash at the end."""
        here = f"{portal}/saml/{name}"
        return cls(entity_id=f"{here}/metadata", login=f"{here}/login", acs=f"{here}/acs")


def request_url(provider: SamlProvider, places: Places, request_id: str, relay_state: str, now_s: float) -> str:
    """Return where to send a browser so that its person signs in (bindings, section 3.4: HTTP-Redirect, unsigned).

    ``request_id`` must be an XML name (it may not begin with a digit); ``relay_state`` has at most 80 bytes.
    """
    request = etree.Element(f"{{{SAMLP}}}AuthnRequest", nsmap={"samlp": SAMLP, "saml": SAML})
    request.set("ID", request_id)
    request.set("Version", "2.0")
    request.set("IssueInstant", written(now_s))
    request.set("Destination", provider.sso_url)
    request.set("ProtocolBinding", HTTP_POST)
    request.set("AssertionConsumerServiceURL", places.acs)
    etree.SubElement(request, f"{{{SAML}}}Issuer").text = places.entity_id
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(etree.tostring(request)) + deflater.flush()
    asked = urlencode({"SAMLRequest": base64.b64encode(deflated).decode("ascii"), "RelayState": relay_state})
    parts = urlsplit(provider.sso_url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{asked}" if parts.query else asked))


def metadata(places: Places) -> bytes:
    """Return what a provider must know of us, as its administrator imports it (metadata, section 2.4.4)."""
    entity = etree.Element(f"{{{METADATA}}}EntityDescriptor", nsmap={"md": METADATA})
    entity.set("entityID", places.entity_id)
    ours = etree.SubElement(entity, f"{{{METADATA}}}SPSSODescriptor")
    ours.set("AuthnRequestsSigned", "false")
    ours.set("WantAssertionsSigned", "true")
    ours.set("protocolSupportEnumeration", SAMLP)
    consumer = etree.SubElement(ours, f"{{{METADATA}}}AssertionConsumerService")
    consumer.set("Binding", HTTP_POST)
    consumer.set("Location", places.acs)
    consumer.set("index", "0")
    consumer.set("isDefault", "true")
    return etree.tostring(entity, xml_declaration=True, encoding="UTF-8")
