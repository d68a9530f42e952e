"""What a provider's signature is good for: this place, this browser's request, now, and one person."""

from __future__ import annotations

import pytest

from countersign.portal.saml.assertion import Asserted
from countersign.portal.saml.refused import SamlRefused
from tests.support.saml_documents import ACS, AUDIENCE, IDP, NOW_S, PORTAL, TOKEN_URL, Signer, Told
from tests.unit.portal.saml.judging import judged, judged_grant

_OTHER = "https://evil.example.com/acs"
_SAML_NS = "urn:oasis:names:tc:SAML:2.0"
_RESTRICTED = "<saml:AudienceRestriction><saml:Audience>urn:other</saml:Audience></saml:AudienceRestriction>"
_CONDITION = (
    '<saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="urn:x" xsi:type="x:OnlyIndoors"/>'
)
_LINK = (
    '<saml:Attribute Name="http://schemas.microsoft.com/claims/groups.link"><saml:AttributeValue>'
    "https://graph.windows.net/x</saml:AttributeValue></saml:Attribute>"
)
_PERSISTENT = f"{_SAML_NS}:nameid-format:persistent"
_GRANT = Told(recipient=TOKEN_URL, audience=PORTAL, confirmed_request="")


def test_all_that_is_read_of_a_good_one(signer: Signer) -> None:
    told = Told(session_end_s=NOW_S + 3600, groups=("engineering", "on-call", "engineering", ""))
    assert judged(told.signed(signer), signer) == Asserted(
        issuer=IDP,
        subject="alice@example.com",
        groups=("engineering", "on-call"),
        assertion_id="_assertion1",
        session_index="_session1",
        context="urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
        signed_in_s=NOW_S - 30,
        session_end_s=NOW_S + 3600,
        good_until_s=NOW_S + 360,
    )


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param(Told(audience="https://other.example.com"), "for another audience", id="audience"),
        pytest.param(Told(audience=""), "does not say for whom", id="no-audience"),
        pytest.param(Told(conditions=_RESTRICTED), "for another audience", id="second-restriction"),
        pytest.param(Told(conditions=_CONDITION), "a condition that is not known", id="unknown-condition"),
        pytest.param(Told(recipient=_OTHER), "for another recipient", id="recipient"),
        pytest.param(Told(recipient=""), "for another recipient", id="no-recipient"),
        pytest.param(Told(recipient=ACS + "/"), "for another recipient", id="recipient-with-slash"),
        pytest.param(Told(destination=_OTHER), "for another destination", id="destination"),
        pytest.param(Told(destination=""), "for another destination", id="no-destination"),
        pytest.param(Told(in_response_to="_other"), "does not answer the request", id="response-to-another"),
        pytest.param(Told(in_response_to=""), "nobody asked", id="begun-at-the-provider"),
        pytest.param(
            Told(in_response_to="", confirmed_request=""), "nobody asked", id="begun-at-the-provider-altogether"
        ),
        pytest.param(Told(confirmed_request="_other"), "does not answer the request", id="confirmed-for-another"),
        pytest.param(Told(confirmed_request=""), "does not answer the request", id="confirmed-for-none"),
        pytest.param(Told(issuer="https://evil.example.com"), "another identity provider", id="issuer"),
        pytest.param(Told(response_issuer="https://evil.example.com"), "another identity", id="response-issuer"),
        pytest.param(Told(ends_s=NOW_S - 61), "expired at 2025-10-09T08:52:19Z", id="expired"),
        pytest.param(Told(confirmed_until_s=NOW_S - 61), "expired at", id="confirmation-expired"),
        pytest.param(Told(confirmed_until_s=None), "does not end", id="confirmation-without-end"),
        pytest.param(Told(confirmed_from_s=NOW_S - 5), "has a NotBefore", id="confirmation-with-start"),
        pytest.param(Told(not_before_s=NOW_S + 61), "not good before", id="not-yet"),
        pytest.param(
            Told(ends_s=NOW_S + 90_000, confirmed_until_s=NOW_S + 90_000), "more than a day", id="good-for-ever"
        ),
        pytest.param(Told(confirmation=f"{_SAML_NS}:cm:holder-of-key"), "not for its bearer", id="holder-of-key"),
        pytest.param(Told(confirmation=f"{_SAML_NS}:cm:sender-vouches"), "not for its bearer", id="sender-vouches"),
        pytest.param(Told(status=f"{_SAML_NS}:status:Responder"), "did not sign the person in", id="no-success"),
        pytest.param(Told(version="1.1"), "not of SAML 2.0", id="version"),
        pytest.param(Told(name_format=f"{_SAML_NS}:nameid-format:transient"), "transient", id="transient"),
        pytest.param(
            Told(name_format=f'{_PERSISTENT}" NameQualifier="https://upstream.example.com'),
            "another domain",
            id="name-of-another-domain",
        ),
        pytest.param(Told(name_id=""), "names nobody", id="nobody"),
        pytest.param(Told(name_id=" alice@example.com"), "blanks around", id="blanks"),
        pytest.param(Told(name_id="alice@example\n.com"), "line ends", id="line end"),
        pytest.param(Told(name_id="a" * 513), "names nobody", id="long-name"),
        pytest.param(Told(signed_in_s=NOW_S + 61), "a time to come", id="signed-in-tomorrow"),
        pytest.param(Told(signed_in_s=None), "0 AuthnStatement", id="no-sign-in"),
        pytest.param(Told(session_index="s" * 513), "SessionIndex has more than", id="session-index"),
        pytest.param(Told(session_end_s=NOW_S - 1), "has ended", id="session-over"),
        pytest.param(Told(groups=tuple(map(str, range(501)))), "more than 500 groups", id="groups"),
        pytest.param(Told(attributes="<saml:EncryptedAttribute/>"), "encrypted attributes", id="encrypted-attributes"),
        pytest.param(Told(groups=(), attributes=_LINK), "too many groups", id="groups-by-link"),
        pytest.param(Told(raw_name="</saml:NameID><saml:NameID>bob"), "2 NameID", id="two-names"),
    ],
)
@pytest.mark.parametrize("whole", [False, True], ids=["assertion", "response"])
def test_that_it_is_refused(told: Told, reason: str, whole: bool, signer: Signer) -> None:
    with pytest.raises(SamlRefused, match=reason) as refused:
        judged(told.signed(signer, assertion=not whole, response=whole), signer)
    assert "alice" not in refused.value.reason


def test_that_a_name_may_be_said_to_be_the_providers(signer: Signer) -> None:
    told = Told(name_format=f'{_PERSISTENT}" NameQualifier="{IDP}" SPNameQualifier="{AUDIENCE}')
    assert judged(told.signed(signer), signer).subject == "alice@example.com"


def test_that_clocks_may_be_a_minute_apart(signer: Signer) -> None:
    early = Told(not_before_s=NOW_S + 59, signed_in_s=NOW_S + 59)
    late = Told(ends_s=NOW_S - 59, confirmed_until_s=NOW_S - 59)
    for told in (early, late):
        assert judged(told.signed(signer), signer).subject == "alice@example.com"


def test_that_an_encrypted_assertion_is_refused_with_what_to_do(signer: Signer) -> None:
    document = Told().response(b"<saml:EncryptedAssertion/>")
    with pytest.raises(SamlRefused, match="have the identity provider sign it and not encrypt it"):
        judged(signer.sign(document, "_response1"), signer)


def test_that_an_encrypted_name_is_refused_beside_a_plain_one(signer: Signer) -> None:
    told = Told(raw_name="alice@example.com</saml:NameID><saml:EncryptedID/><saml:NameID>bob@example.com")
    document = told.assertion().replace(b"<saml:NameID>bob@example.com</saml:NameID>", b"")
    with pytest.raises(SamlRefused, match="an encrypted one is not read"):
        judged(signer.sign(Told().response(document), "_assertion1"), signer)


def test_that_two_assertions_under_one_signature_are_refused(signer: Signer) -> None:
    both = Told().assertion() + Told(assertion_id="_assertion2", name_id="bob@example.com").assertion()
    with pytest.raises(SamlRefused, match="exactly one assertion"):
        judged(signer.sign(Told().response(both), "_response1"), signer)


def test_that_an_assertion_without_an_id_is_refused(signer: Signer) -> None:
    """Nobody could tell whether it was used before."""
    document = Told().response(Told().assertion().replace(b' ID="_assertion1"', b""))
    with pytest.raises(SamlRefused, match="no ID"):
        judged(signer.sign(document, "_response1"), signer)


def _attribute(*values: str) -> str:
    inner = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="uid">{inner}</saml:Attribute>'


def test_that_a_link_to_groups_does_not_matter_where_roles_are_used(signer: Signer) -> None:
    document = Told(groups=(), attributes=_LINK + _attribute("admin")).signed(signer)
    assert judged(document, signer, provider=signer.provider(groups="uid")).groups == ("admin",)


def test_that_an_attribute_can_be_the_subject(signer: Signer) -> None:
    document = Told(attributes=_attribute("alice"), name_format=f"{_SAML_NS}:nameid-format:transient").signed(signer)
    assert judged(document, signer, provider=signer.provider(subject="uid")).subject == "alice"


@pytest.mark.parametrize(
    "values", [(), ("",), ("alice", "bob"), ("<b>alice</b>",)], ids=["none", "empty", "two", "xml"]
)
def test_that_a_subject_must_be_one_text(values: tuple[str, ...], signer: Signer) -> None:
    document = Told(attributes=_attribute(*values)).signed(signer)
    with pytest.raises(SamlRefused, match="values of the attribute"):
        judged(document, signer, provider=signer.provider(subject="uid"))


@pytest.mark.parametrize(
    "stated", ["2025-10-09T08:58:20+00:00", "2025-10-09", "20251009T085820Z", "tomorrow", "2025-13-09T08:58:20Z", ""]
)
def test_that_times_that_are_not_utc_are_refused(stated: str, signer: Signer) -> None:
    document = Told().assertion().replace(b'NotOnOrAfter="2025-10-09T08:58:20Z"', f'NotOnOrAfter="{stated}"'.encode())
    assert f'NotOnOrAfter="{stated}"'.encode() in document
    with pytest.raises(SamlRefused, match="not a time in UTC"):
        judged(signer.sign(Told().response(document), "_assertion1"), signer)


def test_that_times_may_be_finer_than_seconds(signer: Signer) -> None:
    document = Told().assertion().replace(b"08:58:20Z", b"08:58:20.1234567Z")
    assert judged(signer.sign(Told().response(document), "_assertion1"), signer).good_until_s > NOW_S + 360


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param(_GRANT.but(recipient=ACS), "for another recipient", id="of-the-browser"),
        pytest.param(_GRANT.but(audience="https://other.example.com"), "for another audience", id="audience"),
        pytest.param(_GRANT.but(confirmed_request="_request1"), "answers a request", id="answers-a-request"),
        pytest.param(_GRANT.but(ends_s=NOW_S - 61), "expired", id="expired"),
        pytest.param(_GRANT.but(issuer="https://evil.example.com"), "another identity", id="issuer"),
    ],
)
def test_that_a_grant_is_refused(told: Told, reason: str, signer: Signer) -> None:
    with pytest.raises(SamlRefused, match=reason):
        judged_grant(signer.sign(told.assertion(), "_assertion1"), signer)


def test_that_a_grant_may_say_nothing_of_a_sign_in(signer: Signer) -> None:
    got = judged_grant(signer.sign(_GRANT.but(signed_in_s=None).assertion(), "_assertion1"), signer)
    assert (got.session_index, got.signed_in_s) == ("", NOW_S)
