"""A verified assertion: whom it names, for whom it is good, and until when (SAML core, section 2; profiles, 4.1.4)."""

from __future__ import annotations

from dataclasses import dataclass

from countersign.config.types_portal import SamlProvider
from countersign.identity.claims import is_name
from countersign.identity.jws import MAX_TEXT
from countersign.portal.saml.document import Element, children, only, text_of
from countersign.portal.saml.instants import SKEW_S, instant, within
from countersign.portal.saml.names import BEARER, ENTITY, SAML, TRANSIENT
from countersign.portal.saml.refused import SamlRefused

_LONGEST_LIFE_S = 24 * 3600
_MOST_GROUPS = 500
# What Entra ID sends in the place of groups when there are more than 150.
_GROUPS_LINK = "http://schemas.microsoft.com/claims/groups.link"
_CONDITIONS = {f"{{{SAML}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}
_IN_SUBJECT = {f"{{{SAML}}}{name}" for name in ("NameID", "SubjectConfirmation")}


@dataclass(frozen=True, slots=True)
class Expected:
    """What an assertion must be for: ``recipient`` is where it is posted, ``audiences`` what we are called.

    ``request_id`` is of the request that it answers, ``None`` where nobody asked (RFC 7522).
    """

    recipient: str
    audiences: frozenset[str]
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Asserted:
    """Who signed in where, as a provider's signature says. Whether the assertion was used before is not yet asked.

    ``session_index`` is the sign-in there, empty when it does not say; ``context`` how it was done; ``signed_in_s``
    when, ``session_end_s`` until when it is good, if it ends; ``good_until_s`` when the assertion is refused for its
    age. Times are in seconds since the epoch.
    """

    issuer: str
    subject: str
    groups: tuple[str, ...]
    assertion_id: str
    session_index: str
    context: str
    signed_in_s: float
    session_end_s: float | None
    good_until_s: float


def read(assertion: Element, provider: SamlProvider, expected: Expected, now_s: float) -> Asserted:
    """Return what ``assertion`` says, an element that ``signature.verified`` returned.

    Raises ``SamlRefused`` unless it is ``provider``'s, for us, for this recipient and request, and good now; and where
    its subject or groups cannot be told.
    """
    if assertion.get("Version") != "2.0":
        raise SamlRefused("the assertion is not of SAML 2.0")
    issued_by(assertion, provider)
    ends_s = min(_conditions(assertion, expected, now_s), _confirmed(assertion, expected, now_s))
    if ends_s > now_s + _LONGEST_LIFE_S:
        raise SamlRefused("the assertion is good for more than a day")
    statement, signed_in_s, session_end_s = _statement(assertion, expected, now_s)
    attributes = _attributes(assertion)
    if not assertion.get("ID"):
        raise SamlRefused("the assertion has no ID")
    return Asserted(
        issuer=provider.entity_id,
        subject=_subject(assertion, attributes, provider),
        groups=_groups(attributes, provider),
        assertion_id=assertion.get("ID") or "",
        session_index=statement.get("SessionIndex") or "",
        context=_context(statement),
        signed_in_s=signed_in_s,
        session_end_s=session_end_s,
        good_until_s=ends_s + SKEW_S,
    )


def issued_by(element: Element, provider: SamlProvider) -> None:
    """Raise ``SamlRefused`` unless an element's ``Issuer`` is the provider's entity id."""
    issuer = only(element, f"{{{SAML}}}Issuer")
    if issuer.get("Format", ENTITY) != ENTITY or text_of(issuer).strip() != provider.entity_id:
        raise SamlRefused("it is issued by another identity provider than the one that was asked")


def _conditions(assertion: Element, expected: Expected, now_s: float) -> float:
    conditions = only(assertion, f"{{{SAML}}}Conditions")
    if any(child.tag not in _CONDITIONS for child in conditions):
        raise SamlRefused("the assertion has a condition that is not known here")
    end = within(conditions, "the assertion", now_s)
    restrictions = children(conditions, f"{{{SAML}}}AudienceRestriction")
    if not restrictions:
        raise SamlRefused("the assertion does not say for whom it is (AudienceRestriction)")
    for restriction in restrictions:
        audiences = {text_of(audience).strip() for audience in children(restriction, f"{{{SAML}}}Audience")}
        if not audiences & expected.audiences:
            raise SamlRefused(f"the assertion is for another audience than {' or '.join(sorted(expected.audiences))}")
    return float("inf") if end is None else end


def _confirmed(assertion: Element, expected: Expected, now_s: float) -> float:
    """Return until when the best of the subject's confirmations is good (profiles, section 4.1.4.2)."""
    subject = only(assertion, f"{{{SAML}}}Subject")
    bearers = [
        confirmation
        for confirmation in children(subject, f"{{{SAML}}}SubjectConfirmation")
        if confirmation.get("Method") == BEARER
    ]
    if not bearers:
        raise SamlRefused("the assertion is not for its bearer (SubjectConfirmation)")
    ends, why = [], SamlRefused("")
    for bearer in bearers:
        try:
            ends.append(_bearer(bearer, expected, now_s))
        except SamlRefused as error:
            why = error
    if not ends:
        raise why
    return max(ends)


def _bearer(confirmation: Element, expected: Expected, now_s: float) -> float:
    data = only(confirmation, f"{{{SAML}}}SubjectConfirmationData")
    if data.get("Recipient") != expected.recipient:
        raise SamlRefused(f"the assertion is for another recipient than {expected.recipient}")
    if data.get("InResponseTo") != expected.request_id:
        raise SamlRefused(
            "the assertion answers a request, and is no grant"
            if expected.request_id is None
            else "the assertion does not answer the request that this browser made"
        )
    if data.get("NotBefore") is not None:
        raise SamlRefused("the assertion's confirmation has a NotBefore")
    end = within(data, "the assertion", now_s)
    if end is None:
        raise SamlRefused("the assertion's confirmation does not end (NotOnOrAfter)")
    return end


def _statement(assertion: Element, expected: Expected, now_s: float) -> tuple[Element, float, float | None]:
    if expected.request_id is None and not children(assertion, f"{{{SAML}}}AuthnStatement"):
        # A grant may name somebody who is not there (RFC 7522, section 3, 9.B): then its issue counts.
        statement, signed_in_s = assertion, instant(assertion, "IssueInstant")
    else:
        statement = only(assertion, f"{{{SAML}}}AuthnStatement")
        signed_in_s = instant(statement, "AuthnInstant")
    if signed_in_s is None or signed_in_s > now_s + SKEW_S:
        raise SamlRefused("the assertion does not say when the person signed in, or says a time to come")
    session_end_s = instant(statement, "SessionNotOnOrAfter")
    if session_end_s is not None and now_s >= session_end_s:
        raise SamlRefused("the sign-in at the identity provider has ended")
    # Identity takes no notice of longer ones, so nothing would revoke such a sign-in.
    if len(statement.get("SessionIndex") or "") > MAX_TEXT:
        raise SamlRefused(f"the SessionIndex has more than {MAX_TEXT} characters")
    return statement, signed_in_s, session_end_s


def _context(statement: Element) -> str:
    named = statement.find(f"{{{SAML}}}AuthnContext/{{{SAML}}}AuthnContextClassRef")
    return "" if named is None else text_of(named).strip()


def _attributes(assertion: Element) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for statement in children(assertion, f"{{{SAML}}}AttributeStatement"):
        if children(statement, f"{{{SAML}}}EncryptedAttribute"):
            raise SamlRefused("the assertion has encrypted attributes: have the identity provider not encrypt them")
        for attribute in children(statement, f"{{{SAML}}}Attribute"):
            values = children(attribute, f"{{{SAML}}}AttributeValue")
            # Values of no use here may be whole documents: only what is asked for must be text.
            found.setdefault(attribute.get("Name") or "", []).extend(
                "" if len(value) else text_of(value, 64 * 1024) for value in values
            )
    return found


def _subject(assertion: Element, attributes: dict[str, list[str]], provider: SamlProvider) -> str:
    subject = only(assertion, f"{{{SAML}}}Subject")
    if any(child.tag not in _IN_SUBJECT for child in subject):
        raise SamlRefused("the assertion's subject is not a NameID (an encrypted one is not read)")
    if provider.subject:
        named = attributes.get(provider.subject, [])
        if len(named) != 1 or not named[0]:
            raise SamlRefused(f"the assertion has {len(named)} values of the attribute {provider.subject!r}, not one")
        subject_text = named[0]
    else:
        name = only(subject, f"{{{SAML}}}NameID")
        if name.get("Format") == TRANSIENT:
            raise SamlRefused("the NameID is another at each sign-in (transient): send a persistent one")
        # SAML core, sections 2.2.2 and 8.3.7: the same text is somebody else in another domain.
        if name.get("NameQualifier", "") not in ("", provider.entity_id):
            raise SamlRefused("the NameID is of another domain than the provider's (NameQualifier)")
        subject_text = text_of(name)
    if not is_name(subject_text) or subject_text != subject_text.strip():
        raise SamlRefused(
            "the assertion names nobody, or by too long a name, or one with blanks around or line ends in it"
        )
    return subject_text


def _groups(attributes: dict[str, list[str]], provider: SamlProvider) -> tuple[str, ...]:
    if _GROUPS_LINK in attributes and not attributes.get(provider.groups):
        # Without its groups a person would escape the rules that deny them something.
        raise SamlRefused("the person has too many groups to be listed: have the identity provider filter them")
    groups = tuple(dict.fromkeys(group for group in attributes.get(provider.groups, []) if group))
    if len(groups) > _MOST_GROUPS:
        raise SamlRefused(f"the assertion has more than {_MOST_GROUPS} groups: have the identity provider filter them")
    return groups
