"""Who holds more handles than their share is refused, and nobody else; what nobody counted is taken to be much."""

from __future__ import annotations

from countersign.recorder.handles.shares import Bounds, Share, Shares

BOUNDS = Bounds(target=100, principal=40, both=20)
ORDERS, CRM, ALICE, BOB = b"orders", b"crm", b"alice", b"bob"


def test_one_principal_at_one_target_fills_neithers_share() -> None:
    shares = Shares(BOUNDS)
    assert [shares.take(ORDERS, ALICE, 5) for _ in range(3)] == [True, True, False]
    assert shares.take(ORDERS, BOB, 10)
    assert shares.take(CRM, ALICE, 10)


def test_what_is_refused_counts_nothing() -> None:
    shares = Shares(BOUNDS)
    assert not shares.take(ORDERS, ALICE, 11)
    assert shares.take(ORDERS, ALICE, 10)


def test_a_target_is_full_for_all_and_a_principal_everywhere() -> None:
    shares = Shares(BOUNDS)
    shares.counted({Share(ORDERS, b""): 100, Share(b"", BOB): 39})
    assert not shares.take(ORDERS, ALICE, 1)
    assert shares.take(CRM, ALICE, 1)
    assert not shares.take(CRM, BOB, 2)
    assert shares.take(CRM, BOB, 1)
    assert not shares.take(CRM, BOB, 1)


def test_what_was_kept_before_it_was_counted_counts_once() -> None:
    shares = Shares(BOUNDS)
    assert shares.take(ORDERS, ALICE, 10)
    shares.counting()
    shares.counted({Share(ORDERS, ALICE): 12})
    assert shares.take(ORDERS, ALICE, 8)
    assert not shares.take(ORDERS, ALICE, 1)


def test_what_is_kept_while_it_is_counted_is_not_forgotten() -> None:
    shares = Shares(BOUNDS)
    for held in (10, 12):
        shares.counting()
        assert shares.take(ORDERS, ALICE, 4)
        shares.counted({Share(ORDERS, ALICE): held})
    assert shares.take(ORDERS, ALICE, 4)
    assert not shares.take(ORDERS, ALICE, 1)
