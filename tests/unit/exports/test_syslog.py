"""CEF over TLS: whom we send it to, and what counts as taken where nobody acknowledges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from countersign.config.types import CefSink
from countersign.exports import cef
from countersign.exports.facts import Fact
from countersign.exports.ports import NotTaken
from countersign.exports.syslog import SyslogDestination
from tests.support.exporting import Certificates, Receiver, certificates, facts, receiving
from tests.support.recorders import until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("served"))


def _destination(receiver: Receiver, ca: Path, host: str = "127.0.0.1") -> SyslogDestination:
    return SyslogDestination("siem", CefSink(host, receiver.port, str(ca)), _frame)


def _frame(fact: Fact) -> bytes:
    return cef.frame(fact, "gateway", "1")


def _has(receiver: Receiver, wanted: list[Fact]) -> Callable[[], bool]:
    ids = [one.event.event_id.encode() for one in wanted]
    return lambda: (
        len(receiver.messages) >= len(ids)
        and all(uid in message for uid, message in zip(ids, receiver.messages, strict=True))
    )


async def test_messages_arrive_whole_and_in_order(served: Certificates) -> None:
    sent = facts(300)
    with receiving(served) as receiver:
        destination = _destination(receiver, served.ca)
        await destination.take(sent[:299])
        await destination.take(sent[299:])
        await until(_has(receiver, sent))
        await destination.close()
    assert receiver.problems == []


async def test_who_shows_a_certificate_that_nobody_vouches_for_gets_nothing(
    served: Certificates, tmp_path: Path
) -> None:
    with receiving(served) as receiver:
        destination = _destination(receiver, certificates(tmp_path).ca)
        with pytest.raises(NotTaken, match="certificate is refused"):
            await destination.take(facts(1))
        await destination.close()
    assert receiver.messages == []


async def test_who_shows_the_certificate_of_another_name_gets_nothing(tmp_path: Path) -> None:
    other = certificates(tmp_path, name="elsewhere.example")
    with receiving(other) as receiver:
        destination = _destination(receiver, other.ca)
        with pytest.raises(NotTaken, match="certificate is refused"):
            await destination.take(facts(1))
        await destination.close()
    assert receiver.messages == []


async def test_what_a_receiver_left_unread_does_not_count_and_comes_again(served: Certificates) -> None:
    sent = facts(20)
    with receiving(served, hang_up_after=100) as receiver:
        destination = _destination(receiver, served.ca)
        with pytest.raises(NotTaken):
            await destination.take(sent)
        await destination.take(sent)
        await until(_has(receiver, sent))
        await destination.close()


async def test_a_receiver_that_is_away_takes_nothing(served: Certificates) -> None:
    with receiving(served) as receiver:
        pass
    destination = _destination(receiver, served.ca)
    with pytest.raises(NotTaken, match="cannot be reached"):
        await destination.take(facts(1))
    await destination.close()


async def test_a_file_of_certificates_that_is_missing_is_said_without_its_path(tmp_path: Path) -> None:
    destination = _destination(Receiver(port=1), tmp_path / "missing.pem")
    with pytest.raises(NotTaken) as refused:
        await destination.take(facts(1))
    assert str(tmp_path) not in str(refused.value)
    await destination.close()
