"""Keys, signed notes and cosignatures, against published ones (golang.org/x/mod/sumdb/note, a public witness)."""

from __future__ import annotations

import pytest

from countersign.tlog import (
    BadKey,
    BadNote,
    BadSignature,
    KeyKind,
    Note,
    Signature,
    Signed,
    SignerKey,
    check_signature,
    cosign,
    parse_note,
    parse_signatures,
    parse_signer,
    parse_verifier,
    sign_note,
)

# The example of golang.org/x/mod/sumdb/note; put together here, so that no scanner takes it for a leaked key.
PETER_SECRET = "PRIVATE" + "+KEY+" + "PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7h" + "fZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    f"{TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# A checkpoint of a public log of certificates, cosigned by a public witness.
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
COSIGNED = (
    "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\n"
    "— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIg"
    "IpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=\n"
    "— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0D"
    "rAWfBw==\n"
)
LOG = SignerKey("log.example", KeyKind.NOTE, bytes([7]) * 32)
WITNESS = SignerKey("w.example", KeyKind.COSIGNATURE, bytes([8]) * 32)


def test_the_published_key_signs_the_published_note() -> None:
    signer = parse_signer(PETER_SECRET)
    assert str(signer.verifier) == PETER
    assert signer.secret_text() == PETER_SECRET
    assert str(sign_note(TEXT, [signer])) == NOTE
    assert parse_note(NOTE).verify([parse_verifier(PETER)]) == (Signed(parse_verifier(PETER)),)
    assert str(parse_note(NOTE.encode())) == NOTE


def test_a_witness_of_the_public_network_is_believed_and_when_it_cosigned() -> None:
    key = parse_verifier(REMORA)
    assert parse_note(COSIGNED).verify([key]) == (Signed(key, 1_779_573_024),)
    for changed in (COSIGNED.replace("\n1432088532\n", "\n1432088533\n"), COSIGNED.replace("AABqEiEg", "AABqEiEh")):
        with pytest.raises(BadSignature):
            parse_note(changed).verify([key])


def test_a_signers_key_is_shown_nowhere_but_in_its_file() -> None:
    signer = parse_signer(PETER_SECRET)
    assert "KDFz" not in repr(signer) + str(signer)
    with pytest.raises(BadKey) as refused:
        parse_signer(PETER_SECRET[:-4] + "ADFz")
    assert "KEY+" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "parse"), [(PETER, parse_verifier), (PETER_SECRET, parse_signer)], ids=["verifier", "signer"]
)
def test_a_key_that_is_cut_or_changed_anywhere_is_refused(text: str, parse: object) -> None:
    assert callable(parse)
    parse(text)
    bad = {text[begin:end] for begin in range(0, len(text), 3) for end in range(begin, len(text) + 1, 3)} - {text}
    bad |= {text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :] for at in range(len(text))}
    # The kind of key is part of what its id is made of, and so is a longer key.
    bad |= {
        PETER.replace("+ARpc", "+BBpc"),
        PETER.replace("+ARpc", "+ZRpc"),
        PETER + "BADKEY==",
        PETER + "\n",
        " " + PETER,
    }
    for each in bad:
        with pytest.raises(BadKey):
            parse(each)


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\tb", "a\nb", "a\u2003b", "a\x00b", "\ud800", "n" * 256], ids=ascii
)
def test_a_key_has_a_name_that_a_note_can_hold(name: str) -> None:
    with pytest.raises(BadKey):
        SignerKey(name, KeyKind.NOTE, bytes(32))
    with pytest.raises(BadKey):
        SignerKey("name", KeyKind.NOTE, bytes(31))


def test_others_signatures_are_ignored_even_where_they_share_a_name_or_an_id() -> None:
    key = LOG.verifier
    same_name = Signature(key.name, key.key_id ^ 1, bytes(64))
    same_id = Signature("other.example", key.key_id, bytes(64))
    note = sign_note(TEXT, [LOG])
    crowded = Note(TEXT, (same_name, *note.signatures, same_id))
    assert parse_note(str(crowded)).verify([key]) == (Signed(key),)
    assert Note(TEXT, (same_name, same_id)).verify([key]) == ()


def test_one_bad_signature_of_a_known_key_spoils_the_note() -> None:
    key = LOG.verifier
    good = sign_note(TEXT, [LOG])
    for content in (bytes(64), bytes(63), b"x", sign_note("other\n", [LOG]).signatures[0].content):
        bad = Signature(key.name, key.key_id, content)
        for note in (Note(TEXT, (*good.signatures, bad)), Note(TEXT, (bad, *good.signatures))):
            with pytest.raises(BadSignature):
                note.verify([key])


def test_a_cosignature_is_of_its_text_its_time_and_its_kind_of_key() -> None:
    signature = cosign(TEXT, WITNESS, 1_700_000_000)
    assert check_signature(TEXT, signature, WITNESS.verifier) == Signed(WITNESS.verifier, 1_700_000_000)
    later = Signature(signature.name, signature.key_id, (1_700_000_001).to_bytes(8, "big") + signature.content[8:])
    # The same key over the bare text, as a log would sign.
    as_log = SignerKey(WITNESS.name, KeyKind.NOTE, bytes([8]) * 32)
    bare = sign_note(TEXT, [as_log]).signatures[0].content
    timed = Signature(signature.name, signature.key_id, signature.content[:8] + bare)
    timeless = [_cosigned_at(time_s) for time_s in (0, 2**63, 2**64 - 1)]
    for bad in (later, timed, *timeless, Signature(signature.name, signature.key_id, bare[:8])):
        with pytest.raises(BadSignature):
            check_signature(TEXT, bad, WITNESS.verifier)
    with pytest.raises(BadSignature):
        check_signature(TEXT + "more\n", signature, WITNESS.verifier)
    with pytest.raises(BadSignature):
        check_signature(TEXT, signature, as_log.verifier)


def _cosigned_at(time_s: int) -> Signature:
    message = f"cosignature/v1\ntime {time_s}\n{TEXT}".encode()
    return Signature(WITNESS.name, WITNESS.verifier.key_id, time_s.to_bytes(8, "big") + WITNESS.sign(message))


def test_logs_do_not_cosign_and_witnesses_do_not_sign() -> None:
    with pytest.raises(BadKey):
        cosign(TEXT, LOG, 5)
    with pytest.raises(BadKey):
        sign_note(TEXT, [WITNESS])
    for time_s in (0, -1, 2**63):
        with pytest.raises(BadNote):
            cosign(TEXT, WITNESS, time_s)


def test_a_witness_answers_lines_that_go_onto_the_note_once() -> None:
    note = sign_note(TEXT, [LOG])
    (line,) = parse_signatures(str(cosign(TEXT, WITNESS, 9)))
    assert note.add([line]).add([line]) == note.add([line, line]) == Note(TEXT, (*note.signatures, line))
    assert note.add([line]).verify([WITNESS.verifier, LOG.verifier]) == (
        Signed(LOG.verifier),
        Signed(WITNESS.verifier, 9),
    )


LINE = NOTE.removeprefix(TEXT + "\n")
BAD_NOTES = {
    "nothing": "",
    "no text": "\n\n" + LINE,
    "text alone": TEXT,
    "no empty line": TEXT + LINE,
    "no signature": TEXT + "\n",
    "no last newline": NOTE[:-1],
    "carriage returns": NOTE.replace("\n", "\r\n"),
    "a control character": NOTE.replace("think", "th\x1bnk"),
    "a tab": NOTE.replace("If you", "If\tyou"),
    "a hyphen for the dash": NOTE.replace("— ", "- "),
    "no space after the dash": NOTE.replace("— ", "—"),
    "two spaces": NOTE.replace("PeterNeumann ", "PeterNeumann  "),
    "a blank behind": NOTE[:-1] + " \n",
    "no name": NOTE.replace("PeterNeumann ", ""),
    "a name with a plus": NOTE.replace("PeterNeumann", "Peter+Neumann"),
    "no signature in the line": f"{TEXT}\n— PeterNeumann \n",
    "only an id in the line": f"{TEXT}\n— PeterNeumann x08gow==\n",
    "url-safe base64": NOTE.replace("x08go/Z", "x08go_Z"),
    "base64 without padding": NOTE.replace("nAM=", "nAM"),
    "base64 that means the same": NOTE.replace("nAM=", "nAN="),
    "a line between": NOTE + "more\n",
    "a second empty line at the end": NOTE + "\n",
    "too many signatures": TEXT + "\n" + LINE * 65,
    "too long": "x" * 300_000 + "\n\n" + LINE,
    "a lone surrogate": NOTE.replace("think", "\ud800"),
}


@pytest.mark.parametrize("text", BAD_NOTES.values(), ids=BAD_NOTES)
def test_what_is_not_exactly_a_note_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_note(text)


def test_a_note_is_utf_8_and_what_is_signed_is_a_note() -> None:
    with pytest.raises(BadNote):
        parse_note(b"\xff\n\n" + LINE.encode())
    for text in ("", "no end", "a\x00b\n", "x" * 300_000 + "\n"):
        with pytest.raises(BadNote):
            sign_note(text, [LOG])


def test_sixteen_signatures_are_not_too_many() -> None:
    others = [Signature(f"o{at}.example", at, bytes(64)) for at in range(16)]
    assert len(parse_note(str(Note(TEXT, tuple(others)))).signatures) == 16


def test_the_text_may_have_empty_lines() -> None:
    note = sign_note("a\n\nb\n", [LOG])
    assert parse_note(str(note)) == note
