"""What is asked about revocations: nothing that is not well formed goes on, and nothing is taken for something else."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence

import pytest

from countersign.api.access.v1 import revocations_pb2
from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.asked import BadQuestion
from countersign.recorder.revocations import asked
from countersign.recorder.revocations.ports import Revoked
from tests.support.revokers import ALL_OF_ISSUER, ISSUER, PRINCIPAL, SESSION, SIGN_IN, TOKEN, revocation

NOW_US = 1_800_000_000_000_000
DAY_US = 86_400_000_000
SESSION_ID = "5f0c9f4e-6c0a-5d0e-9a53-3b1f6f2f7c11"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (revocation(PRINCIPAL, "alice", issued_before_s=1_700_000_000), RevocationKind.PRINCIPAL),
        (revocation(TOKEN, "jti", until_us=NOW_US + 1), RevocationKind.TOKEN),
        (revocation(SIGN_IN, "sid"), RevocationKind.SIGN_IN),
        (revocation(SESSION, SESSION_ID, issuer=""), RevocationKind.SESSION),
        (revocation(ALL_OF_ISSUER, "", issued_before_s=NOW_US // 1_000_000), RevocationKind.ISSUER),
    ],
    ids=["principal", "token", "sign-in", "session", "issuer"],
)
def test_each_kind_is_read_as_it_was_meant(given: revocations_pb2.Revocation, kind: RevocationKind) -> None:
    read = asked.revocation(given, NOW_US)
    assert (read.kind, read.issuer, read.value, read.reason) == (kind, given.issuer, given.value, given.reason)
    assert read.issued_before_s == (given.issued_before_s if given.HasField("issued_before_s") else None)
    assert (read.until_us, read.revoked_us) == (given.until_us, NOW_US)
    assert uuid.UUID(read.revocation_id)


@pytest.mark.parametrize(
    "wrong",
    [
        revocation(PRINCIPAL, ""),
        revocation(PRINCIPAL, issuer=""),
        revocation(ALL_OF_ISSUER, "x"),
        revocation(SESSION, "5f0c9f4e-6c0a-5d0e-9a53-3b1f6f2f7c11"),
        revocation(SESSION, "not a uuid", issuer=""),
        revocation(SESSION, "5f0c9f4e-6c0a-5d0e-9a53-3b1f6f2f7c11", issuer="", issued_before_s=1),
        revocation(value="x" * 513),
        revocation(value="a\0b"),
        revocation(reason=" "),
        revocation(reason="x" * 501),
        revocation(until_us=1),
        revocation(issued_before_s=1_700_000_000_000),
        revocation(by_issuer="somebody"),
        revocation(revocations_pb2.REVOCATION_KIND_UNSPECIFIED),
    ],
    ids=[
        *("no value", "no issuer", "an issuer with a value", "a session of an issuer", "a session that is none"),
        *("a session before a time", "a long value", "a NUL", "no reason", "a long reason", "until the past"),
        *("milliseconds", "told by somebody", "no kind"),
    ],
)
def test_what_is_not_well_formed_is_refused(wrong: revocations_pb2.Revocation) -> None:
    with pytest.raises(BadQuestion):
        asked.revocation(wrong, NOW_US)


def told(
    source: str = "logout",
    source_id: str = "i 1",
    revocations: Sequence[revocations_pb2.Revocation] | None = None,
    lifted: Sequence[revocations_pb2.Revocation] = (),
) -> revocations_pb2.ApplyRevocationsRequest:
    told = [revocation(by_issuer=ISSUER)] if revocations is None else revocations
    return revocations_pb2.ApplyRevocationsRequest(source=source, source_id=source_id, revocations=told, lifted=lifted)


def test_what_issuers_tell_lapses_after_thirty_days_unless_they_say_when() -> None:
    mine = revocation(by_issuer=ISSUER, until_us=NOW_US + 1)
    heard = asked.heard(told(revocations=[revocation(by_issuer=ISSUER), mine]), NOW_US)
    assert [one.revocation.until_us for one in heard.revoked] == [NOW_US + 30 * DAY_US, NOW_US + 1]
    assert {(one.by_issuer, one.by_subject, one.source) for one in heard.revoked} == {(ISSUER, "", "logout")}


@pytest.mark.parametrize(
    "wrong",
    [
        told(source=""),
        told(source_id=""),
        told(source="x" * 101),
        told(source_id="x" * 2_001),
        told(revocations=[]),
        told(revocations=[revocation(by_issuer=ISSUER)] * 101),
        told(revocations=[revocation()]),
        told(revocations=[revocation(ALL_OF_ISSUER, "", by_issuer=ISSUER)]),
        told(revocations=[revocation(SESSION, SESSION_ID, issuer="", by_issuer=ISSUER)]),
        told(lifted=[revocation(ALL_OF_ISSUER, "", by_issuer=ISSUER)]),
    ],
    ids=[
        *("no source", "no id", "a long source", "a long id", "nothing", "too many", "told by nobody"),
        *("all of an issuer", "a session", "lifting all of an issuer"),
    ],
)
def test_what_no_issuer_can_tell_is_refused(wrong: revocations_pb2.ApplyRevocationsRequest) -> None:
    with pytest.raises(BadQuestion):
        asked.heard(wrong, NOW_US)


def test_two_tellings_are_told_apart_by_source_and_id() -> None:
    one, same, other = (asked.heard(told(source_id=id_), NOW_US).telling for id_ in ("a", "a", "b"))
    assert one == same != other
    assert asked.heard(told(source="signals", source_id="a"), NOW_US).telling != one


def test_a_page_token_belongs_to_its_question() -> None:
    listed = asked.listing(revocations_pb2.ListRevocationsRequest(value="alice"))
    last = Revoked(Revocation(SESSION_ID, RevocationKind.PRINCIPAL, ISSUER, "alice", "r", NOW_US), ISSUER, "olga")
    token = asked.next_page_token(listed, last)
    again = asked.listing(revocations_pb2.ListRevocationsRequest(value="alice", page_token=token))
    assert again.before == (NOW_US, uuid.UUID(SESSION_ID))
    for value, page_token in (("bob", token), ("alice", token[:-2]), ("alice", "!"), ("alice", "A" * 43)):
        with pytest.raises(BadQuestion):
            asked.listing(revocations_pb2.ListRevocationsRequest(value=value, page_token=page_token))
    with pytest.raises(BadQuestion):
        asked.listing(revocations_pb2.ListRevocationsRequest(page_size=501))


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("https://sts.test/a/", False),
        ("https://sts.test/a", True),
        ("https://STS.test/a/", True),
        ("https://sts.test/b", False),
        ("https://sts.test/b/", False),
        ("https://elsewhere.test", False),
        ("", False),
    ],
    ids=["as it is", "no slash", "capitals", "without", "with", "one that was", "of a session"],
)
def test_an_issuer_that_is_almost_one_of_ours_is_not_taken_for_nobody(given: str, refused: bool) -> None:
    known = ("https://sts.test/a/", "https://sts.test/b", "https://sts.test/b/")
    wanted = revocations_pb2.Revocation(issuer=given)
    if not refused:
        asked.check_spelling(wanted, known)
        return
    with pytest.raises(BadQuestion, match=r"gateway\.yaml has https://sts\.test/a/"):
        asked.check_spelling(wanted, known)


@pytest.mark.parametrize(
    "name",
    ["eyal@acme.example.com", "eyre.j.b", "ey..", "eyü.a.b", "ey.a.b", "eyJ.a", "repo:a/b.c.d", "eyewitness.a"],
)
def test_whose_name_begins_like_a_token_can_be_revoked(name: str) -> None:
    assert not asked.hide_token(revocations_pb2.RevokeRequest(revocation=revocation(PRINCIPAL, name)))


@pytest.mark.parametrize("header", ['{"alg":"ES256"}', '{ "typ": "JWT"}', '\n{\n  "alg": "none"}', ' {"a":1}'])
def test_no_token_is_taken_for_a_name_however_its_header_is_written(header: str) -> None:
    written = base64.urlsafe_b64encode(header.encode()).decode()
    for token in (f"{written.rstrip('=')}.e30.c2ln", f" {written}.e30.c2ln", f"{written.rstrip('=')}....x"):
        assert asked.hide_token(revocations_pb2.RevokeRequest(revocation=revocation(TOKEN, token)))


@pytest.mark.parametrize("written", ["https://gateway.test/portal", "https://Gateway.test/portal/"])
def test_the_portal_is_nobodys_issuer(written: str) -> None:
    with pytest.raises(BadQuestion, match="strikes nobody"):
        asked.check_spelling(revocations_pb2.Revocation(issuer=written), (), "https://gateway.test/portal")
    asked.check_spelling(
        revocations_pb2.Revocation(issuer="https://other.test/portal"), (), "https://gateway.test/portal"
    )
    asked.check_spelling(revocations_pb2.Revocation(), (), "")


def test_a_token_in_place_of_its_id_is_taken_out_of_the_request() -> None:
    token = ".".join(["ey" + "J" * 600, "ey" + "K" * 40, "c2ln"])
    request = revocations_pb2.RevokeRequest(revocation=revocation(TOKEN, token))
    assert asked.hide_token(request)
    assert token not in str(request)
    assert not asked.hide_token(revocations_pb2.RevokeRequest(revocation=revocation(TOKEN, "ey.jti")))
