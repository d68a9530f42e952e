"""Checkpoints (c2sp.org/tlog-checkpoint) and whom an auditor believes them from (c2sp.org/tlog-policy)."""

from __future__ import annotations

import pytest

from countersign.tlog import (
    EMPTY_ROOT,
    BadCheckpoint,
    BadPolicy,
    BadSignature,
    Checkpoint,
    KeyKind,
    NotTrusted,
    QuorumNotMet,
    SignerKey,
    cosign,
    open_checkpoint,
    parse_checkpoint,
    parse_policy,
    sign_checkpoint,
    sign_note,
    write_policy,
)

ROOT = bytes(range(32))
NOW_S = 1_700_000_000
ORIGIN = "log.example/a"
LOG = SignerKey(ORIGIN, KeyKind.NOTE, bytes([1]) * 32)
NEXT_LOG = SignerKey(ORIGIN, KeyKind.NOTE, bytes([2]) * 32)
WITNESSES = [SignerKey(f"w{at}.example", KeyKind.COSIGNATURE, bytes([10 + at]) * 32) for at in range(5)]
LINES = [f"witness w{at} {key.verifier}" for at, key in enumerate(WITNESSES)]
CHECKPOINT = Checkpoint(ORIGIN, 9, ROOT)


def signed(*cosigners: int, at_s: int = NOW_S, log: SignerKey = LOG) -> str:
    note = sign_checkpoint(CHECKPOINT, [log])
    return str(note.add([cosign(note.text, WITNESSES[each], at_s) for each in cosigners]))


def policy_of(*lines: str) -> str:
    return "\n".join([f"log {LOG.verifier}", *LINES, *lines, ""])


def test_the_example_of_the_specification_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"
    assert checkpoint.text == text
    assert parse_checkpoint(text + "one\ntwo\n").extensions == ("one", "two")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n9\n",
        CHECKPOINT.text[:-1],
        CHECKPOINT.text + "\n",
        "\n" + CHECKPOINT.text,
        CHECKPOINT.text.replace("\n9\n", "\n09\n"),
        CHECKPOINT.text.replace("\n9\n", "\n+9\n"),
        CHECKPOINT.text.replace("\n9\n", "\n9 \n"),
        CHECKPOINT.text.replace("\n9\n", "\n-9\n"),
        CHECKPOINT.text.replace("\n9\n", "\n\u0669\n"),
        CHECKPOINT.text.replace("\n9\n", "\n9223372036854775808\n"),
        CHECKPOINT.text.replace("\n9\n", "\n" + "9" * 5000 + "\n"),
        CHECKPOINT.text.replace("\n9\n", "\n0\n"),
        CHECKPOINT.text.replace("=", ""),
        CHECKPOINT.text.replace("8=", "9="),
        CHECKPOINT.text.replace("AAEC", ""),
        CHECKPOINT.text + "extension\n" * 17,
    ],
    ids=range(17),
)
def test_anything_else_is_no_checkpoint(text: str) -> None:
    with pytest.raises(BadCheckpoint):
        parse_checkpoint(text)


def test_an_empty_log_has_the_empty_root() -> None:
    assert parse_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text).root == EMPTY_ROOT
    for bad in (("", 1, ROOT), (ORIGIN, -1, ROOT), (ORIGIN, 0, ROOT), (ORIGIN, 1, ROOT[1:]), ("a\nb", 1, ROOT)):
        with pytest.raises(BadCheckpoint):
            Checkpoint(*bad)
    with pytest.raises(BadCheckpoint):
        Checkpoint(ORIGIN, 1, ROOT, ("",))


def test_a_checkpoint_is_signed_by_keys_of_its_origin_only() -> None:
    stranger = SignerKey("other.example", KeyKind.NOTE, bytes(32))
    for signers in ([], [stranger], [LOG, stranger]):
        with pytest.raises(BadCheckpoint):
            sign_checkpoint(CHECKPOINT, signers)


def test_a_checkpoint_is_believed_from_the_logs_own_key_and_from_no_other() -> None:
    assert open_checkpoint(signed(), [LOG.verifier]).checkpoint == CHECKPOINT
    stranger = SignerKey("other.example", KeyKind.NOTE, bytes(32))
    witness_as_log = SignerKey(ORIGIN, KeyKind.COSIGNATURE, bytes([1]) * 32)
    for keys in ([], [NEXT_LOG.verifier], [stranger.verifier], [witness_as_log.verifier]):
        with pytest.raises(NotTrusted):
            open_checkpoint(signed(), keys)
    # A key that is trusted for another log says nothing of this one, even where it did sign.
    by_other = str(sign_note(CHECKPOINT.text, [stranger]))
    with pytest.raises(NotTrusted, match="no trusted key"):
        open_checkpoint(by_other, [stranger.verifier, LOG.verifier])


def test_keys_change_by_signing_with_both_for_a_while() -> None:
    note = str(sign_checkpoint(CHECKPOINT, [LOG, NEXT_LOG]))
    for keys in ([LOG.verifier], [NEXT_LOG.verifier], [LOG.verifier, NEXT_LOG.verifier]):
        assert {one.key for one in open_checkpoint(note, keys).signed} == set(keys)


QUORUMS = {
    "none": ("quorum none", [(), (0,)], []),
    "one witness": ("quorum w1", [(1,), (0, 1)], [(), (0,), (0, 2, 3, 4)]),
    "any": ("group g any w0 w1\nquorum g", [(0,), (1,)], [(), (2, 3)]),
    "all": ("group g all w0 w1\nquorum g", [(0, 1), (0, 1, 2)], [(0,), (1,), (0, 2)]),
    "two of three": ("group g 2 w0 w1 w2\nquorum g", [(0, 2), (0, 1, 2)], [(0,), (3, 4), (0, 3, 4)]),
    "groups of groups": (
        "group x 2 w0 w1 w2\ngroup y any w3 w4\ngroup both all x y\nquorum both",
        [(0, 1, 3), (1, 2, 4)],
        [(0, 1, 2), (0, 3, 4), (3, 4), ()],
    ),
}


@pytest.mark.parametrize(("lines", "enough", "too_few"), QUORUMS.values(), ids=QUORUMS)
def test_a_quorum_is_met_by_those_it_names_alone(
    lines: str, enough: list[tuple[int, ...]], too_few: list[tuple[int, ...]]
) -> None:
    policy = parse_policy(policy_of(lines))
    for cosigners in enough:
        trusted = policy.open(signed(*cosigners), now_s=NOW_S)
        assert [one.name for one in trusted.cosigned] == [f"w{each}" for each in cosigners]
        assert trusted.log_keys == (LOG.verifier,)
        assert trusted.checkpoint == CHECKPOINT
    for cosigners in too_few:
        with pytest.raises(QuorumNotMet):
            policy.open(signed(*cosigners), now_s=NOW_S)


def test_the_time_is_that_at_which_the_quorum_had_seen_it() -> None:
    note = sign_checkpoint(CHECKPOINT, [LOG])
    times = {0: NOW_S - 50, 1: NOW_S - 90, 2: NOW_S - 10}
    content = str(note.add([cosign(note.text, WITNESSES[at], time_s) for at, time_s in times.items()]))
    policy = parse_policy(policy_of("group g 2 w0 w1 w2", "quorum g"))
    assert policy.open(content, now_s=NOW_S).witnessed_s == NOW_S - 50
    assert parse_policy(policy_of("quorum none")).open(content, now_s=NOW_S).witnessed_s is None


def test_a_cosignature_of_the_future_counts_for_nothing_and_spoils_no_other() -> None:
    with pytest.raises(QuorumNotMet, match="still to come"):
        parse_policy(policy_of("quorum w0")).open(signed(0, at_s=NOW_S + 301), now_s=NOW_S)
    parse_policy(policy_of("quorum w0")).open(signed(0, at_s=NOW_S + 300), now_s=NOW_S)
    note = sign_checkpoint(CHECKPOINT, [LOG])
    mixed = note.add([cosign(note.text, WITNESSES[0], NOW_S + 9999), cosign(note.text, WITNESSES[1], NOW_S)])
    trusted = parse_policy(policy_of("group g any w0 w1", "quorum g")).open(str(mixed), now_s=NOW_S)
    assert [one.name for one in trusted.cosigned] == ["w1"]


def test_a_cosignature_over_another_checkpoint_is_refused() -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 8, ROOT), [LOG])
    moved = sign_checkpoint(CHECKPOINT, [LOG]).add([cosign(other.text, WITNESSES[0], NOW_S)])
    with pytest.raises(BadSignature):
        parse_policy(policy_of("quorum w0")).open(str(moved), now_s=NOW_S)


def test_a_policy_without_logs_trusts_none() -> None:
    with pytest.raises(NotTrusted):
        parse_policy("quorum none\n").open(signed(), now_s=NOW_S)


def test_a_policy_is_read_as_the_specification_says_and_written_again() -> None:
    text = (
        f"# whom we trust: ünïcode\n\n \tlog\t{LOG.verifier}  https://log.example/ \n   #indented\n"
        + "".join([f"{line} https://w.example/\n" for line in LINES[:3]])
        + "group  ü  2 w0 w1\ngroup g all ü w2\nquorum g\n"
    )
    policy = parse_policy(text.encode())
    assert policy == parse_policy(text)
    assert parse_policy(write_policy(policy)) == policy
    assert policy.groups["g"].need == 2
    # Names are octets, whatever they mean: these two look alike.
    raw = b"witness \xff %s\nquorum \xff\n" % str(WITNESSES[0].verifier).encode()
    assert list(parse_policy(raw).witnesses) == ["\udcff"]


BAD_POLICIES = {
    "no quorum": LINES[0],
    "nothing": "",
    "an unknown word": "quorum none\nlogs x",
    "two quorums": "quorum none\nquorum none",
    "a quorum of nobody": "quorum w9",
    "a quorum named too early": f"quorum w0\n{LINES[0]}",
    "a quorum of two": f"{LINES[0]}\n{LINES[1]}\nquorum w0 w1",
    "a log twice": f"log {LOG.verifier}\nlog {LOG.verifier}\nquorum none",
    "a log's key under another name": f"log {LOG.verifier}\nlog "
    f"{SignerKey('b', KeyKind.NOTE, bytes([1]) * 32).verifier}\nquorum none",
    "a witness twice": f"{LINES[0]}\n{LINES[0]}\nquorum none",
    "a witness's key under another name": f"{LINES[0]}\nwitness other {WITNESSES[0].verifier}\nquorum none",
    "a name twice": f"{LINES[0]}\nwitness w0 {WITNESSES[1].verifier}\nquorum none",
    "a witness named none": f"witness none {WITNESSES[0].verifier}\nquorum none",
    "a group named as a witness": f"{LINES[0]}\ngroup w0 any w0\nquorum none",
    "a log's key for a witness": f"witness w0 {LOG.verifier}\nquorum none",
    "a witness's key for a log": f"log {WITNESSES[0].verifier}\nquorum none",
    "a key that is none": "log example\nquorum none",
    "a group of none": f"{LINES[0]}\ngroup g any\nquorum none",
    "a group with none in it": f"{LINES[0]}\ngroup g any none\nquorum none",
    "a group that needs nobody": f"{LINES[0]}\ngroup g 0 w0\nquorum none",
    "a group that needs more than there are": f"{LINES[0]}\ngroup g 2 w0\nquorum none",
    "a group that needs some": f"{LINES[0]}\ngroup g some w0\nquorum none",
    "a group of itself": "group g any g\nquorum g",
    "a member twice": f"{LINES[0]}\ngroup g 2 w0 w0\nquorum g",
    "a member of two groups": f"{LINES[0]}\ngroup g any w0\ngroup h any w0\nquorum g",
    "too many words": f"log {LOG.verifier} https://a b\nquorum none",
    "a carriage return": "quorum none\r",
    "a control character": "# \x1b[2J\nquorum none",
    "another blank": "quorum\u00a0none",
}


@pytest.mark.parametrize("text", BAD_POLICIES.values(), ids=BAD_POLICIES)
def test_a_policy_that_could_be_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(text + "\n")


def test_a_policy_that_is_cut_or_endless_is_refused_and_a_bad_line_is_named() -> None:
    with pytest.raises(BadPolicy, match="cut"):
        parse_policy("quorum none")
    with pytest.raises(BadPolicy):
        parse_policy("#" * 2_000_000 + "\n")
    with pytest.raises(BadPolicy, match="line 3"):
        parse_policy("\n# here\nlog x\nquorum none\n")
