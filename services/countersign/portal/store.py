"""Sign-ins, what programs were granted for them, and devices that wait: the SQL of the portal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import psycopg

from countersign.portal.person import Person
from countersign.runtime.postgres import Readers, Writers

MOST_GRANTS = 200
"""Of one sign-in, codes that wait to be redeemed included: who agrees on and on fills no table."""
_SIGN_IN = b"""
    INSERT INTO countersign_portal.sign_ins (sign_in_id, person, until_us) VALUES (%s, %s, %s)"""
_FORGET = (
    b"""
    DELETE FROM countersign_portal.sign_ins WHERE sign_in_id IN (
        SELECT sign_in_id FROM countersign_portal.sign_ins WHERE until_us <= %s LIMIT 100 FOR UPDATE SKIP LOCKED)""",
    b"""
    DELETE FROM countersign_portal.devices WHERE device_id IN (
        SELECT device_id FROM countersign_portal.devices WHERE until_us <= %s LIMIT 100 FOR UPDATE SKIP LOCKED)""",
)
_FIND = b"""
    SELECT sign_in_id, person, until_us FROM countersign_portal.sign_ins
    WHERE sign_in_id = %s AND until_us > %s AND NOT ended"""
_END = b"UPDATE countersign_portal.sign_ins SET ended = true WHERE sign_in_id = %s"
_GRANT = b"""
    INSERT INTO countersign_portal.grants
        (grant_id, sign_in_id, client_id, resource, redirect_uri, challenge, code_until_us, redeemed)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_LAPSED = b"""
    DELETE FROM countersign_portal.grants WHERE sign_in_id = %s AND NOT redeemed AND code_until_us <= %s"""
_HOW_MANY = b"SELECT count(*) FROM countersign_portal.grants WHERE sign_in_id = %s"
_LOOK = b"""
    SELECT grants.grant_id, grants.sign_in_id, client_id, resource, redirect_uri, challenge, code_until_us,
        redeemed, refreshes, grants.ended OR sign_ins.ended, person, sign_ins.until_us
    FROM countersign_portal.grants JOIN countersign_portal.sign_ins USING (sign_in_id)
    WHERE grant_id = %s"""
_LOCK_GRANT = _LOOK + b" FOR UPDATE OF grants"
_REDEEMED = b"UPDATE countersign_portal.grants SET redeemed = true WHERE grant_id = %s"
_REFRESHED = b"UPDATE countersign_portal.grants SET refreshes = %s WHERE grant_id = %s"
_END_GRANT = b"UPDATE countersign_portal.grants SET ended = true WHERE grant_id = %s"
_WAITING = b"SELECT count(*) FROM countersign_portal.devices WHERE until_us > %s AND state = 'asked'"
_ASK = b"""
    INSERT INTO countersign_portal.devices (device_id, user_code, client_id, resource, asked_us, until_us, interval_s)
    VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (user_code) DO NOTHING"""
_DEVICE = b"""
    SELECT device_id, client_id, resource, asked_us, until_us, polled_us, interval_s, state, sign_in_id
    FROM countersign_portal.devices"""
_DEVICE_OF_CODE = _DEVICE + b" WHERE user_code = %s AND until_us > %s AND state = 'asked'"
_LOCK_DEVICE = _DEVICE + b" WHERE device_id = %s FOR UPDATE"
_DECIDE = b"""
    UPDATE countersign_portal.devices SET state = %s, sign_in_id = %s
    WHERE device_id = %s AND until_us > %s AND state = 'asked'"""
_POLLED = b"UPDATE countersign_portal.devices SET polled_us = %s, interval_s = %s, state = %s WHERE device_id = %s"


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in in a browser (or by a device), until when (microseconds)."""

    sign_in_id: str
    person: Person
    until_us: int


@dataclass(frozen=True, slots=True)
class Granted:
    """What a program was granted for a sign-in. ``refreshes`` is the number of the one refresh token that is good."""

    grant_id: str
    sign_in: SignIn
    client_id: str
    resource: str
    redirect_uri: str
    challenge: str
    code_until_us: int
    redeemed: bool
    refreshes: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A device that asks to be let in (RFC 8628). ``state`` is asked, agreed, denied or taken."""

    device_id: str
    client_id: str
    resource: str
    asked_us: int
    until_us: int
    polled_us: int
    interval_s: int
    state: str
    sign_in_id: str | None


class Replayed(Exception):
    """What is good once was used again: everything of ``granted`` is ended by now."""

    def __init__(self, granted: Granted) -> None:
        super().__init__("used again")
        self.granted = granted


class NotGood(Exception):
    """There is no such thing, or it is over, or not for whoever brings it."""


class TooMany(Exception):
    """A sign-in has as much as one may have."""


class PostgresSignIns:
    """What the portal keeps. All raise ``DatabaseUnavailable``; what they change is durable once they return."""

    def __init__(self, dsn: str) -> None:
        self._readers = Readers(dsn, application_name="countersign-portal", size=2)
        self._writers = Writers(dsn, application_name="countersign-portal-writer", size=3)

    async def close(self) -> None:
        """Let go of the database."""
        await self._readers.close()
        await self._writers.close()

    async def begin(self, sign_in: SignIn, now_us: int) -> None:
        """Keep a new sign-in, and forget some that are over."""
        async with self._writers.transaction() as connection:
            for statement in _FORGET:
                await connection.execute(statement, (now_us,))
            await connection.execute(_SIGN_IN, (sign_in.sign_in_id, sign_in.person.listed(), sign_in.until_us))

    async def find(self, sign_in_id: str, now_us: int) -> SignIn | None:
        """Return a sign-in that is neither over nor ended."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_FIND, (sign_in_id, now_us))).fetchone()
        return None if row is None else SignIn(row[0], Person.of_listed(row[1]), row[2])

    async def end(self, sign_in_id: str) -> None:
        """End a sign-in: what was granted for it brings no more tokens."""
        async with self._writers.transaction() as connection:
            await connection.execute(_END, (sign_in_id,))

    async def grant(self, granted: Granted, now_us: int) -> None:
        """Keep what a program is granted; forget codes of this sign-in that nobody redeemed in time.

        Raises ``TooMany``.
        """
        sign_in_id = granted.sign_in.sign_in_id
        async with self._writers.transaction() as connection:
            await connection.execute(_LAPSED, (sign_in_id, now_us))
            found = await (await connection.execute(_HOW_MANY, (sign_in_id,))).fetchone()
            if found is None or found[0] >= MOST_GRANTS:
                raise TooMany
            await _insert(connection, granted)

    async def redeem(self, grant_id: str, client_id: str, redirect_uri: str, challenge: str, now_us: int) -> Granted:
        """Take a code, once, for the program and the verifier that it was made for.

        Raises ``NotGood``, and ``Replayed`` when it was taken before: then all that came of it is ended.
        """
        async with self._writers.transaction(commit_on=Replayed) as connection:
            granted = await _lock(connection, grant_id)
            if granted.redeemed:
                await connection.execute(_END_GRANT, (grant_id,))
                raise Replayed(granted)
            meant = (granted.client_id, granted.redirect_uri, granted.challenge)
            if granted.ended or now_us >= granted.code_until_us or meant != (client_id, redirect_uri, challenge):
                raise NotGood
            if now_us >= granted.sign_in.until_us:
                raise NotGood
            await connection.execute(_REDEEMED, (grant_id,))
            return granted

    async def look(self, grant_id: str) -> Granted:
        """Return what was granted, as it stands. Raises ``NotGood`` when there is no such grant."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_LOOK, (grant_id,))).fetchone()
        return _granted(row)

    async def refresh(self, grant_id: str, number: int, client_id: str, now_us: int) -> Granted:
        """Take the refresh token of this ``number``, once; return what the next one is for.

        Raises ``NotGood``, and ``Replayed`` when it was taken before: then all of its kind are ended.
        """
        async with self._writers.transaction(commit_on=Replayed) as connection:
            granted = await _lock(connection, grant_id)
            if granted.client_id != client_id:
                raise NotGood
            if number < granted.refreshes:
                await connection.execute(_END_GRANT, (grant_id,))
                raise Replayed(granted)
            if granted.ended or number != granted.refreshes or now_us >= granted.sign_in.until_us:
                raise NotGood
            await connection.execute(_REFRESHED, (number + 1, grant_id))
            return granted

    async def end_grant(self, grant_id: str, client_id: str) -> None:
        """End what a program was granted, when it is its own."""
        async with self._writers.transaction() as connection:
            granted = await _lock(connection, grant_id)
            if granted.client_id == client_id:
                await connection.execute(_END_GRANT, (grant_id,))

    async def ask(self, device: Device, user_code: bytes, most: int) -> bool:
        """Keep a device that asks; return whether there was room, with fewer than ``most`` waiting, and a new code."""
        async with self._writers.transaction() as connection:
            await connection.execute(_FORGET[1], (device.asked_us,))
            found = await (await connection.execute(_WAITING, (device.asked_us,))).fetchone()
            if found is None or found[0] >= most:
                return False
            row = (device.device_id, user_code, device.client_id, device.resource)
            done = await connection.execute(_ASK, (*row, device.asked_us, device.until_us, device.interval_s))
            return done.rowcount == 1

    async def waiting(self, user_code: bytes, now_us: int) -> Device | None:
        """Return the device that asks by this code."""
        async with self._readers.connection() as connection:
            row = await (await connection.execute(_DEVICE_OF_CODE, (user_code, now_us))).fetchone()
        return None if row is None else Device(*row)

    async def decide(self, device_id: str, sign_in_id: str, *, agreed: bool, now_us: int) -> bool:
        """Let a device in as this sign-in, or not; return whether it still asked."""
        async with self._writers.transaction() as connection:
            row = ("agreed" if agreed else "denied", sign_in_id, device_id, now_us)
            return (await connection.execute(_DECIDE, row)).rowcount == 1

    async def poll(self, device_id: str, client_id: str, now_us: int, slower_s: int) -> tuple[Device, bool]:
        """Return how a device stands that asks how it stands, once that it is let in; and whether it asked too soon.

        For one that asks too soon the interval grows by ``slower_s``. Raises ``NotGood``.
        """
        async with self._writers.transaction() as connection:
            row = await (await connection.execute(_LOCK_DEVICE, (device_id,))).fetchone()
            if row is None or row[1] != client_id:
                raise NotGood
            device = Device(*row)
            early = now_us - device.polled_us < device.interval_s * 1_000_000
            interval_s = min(device.interval_s + slower_s, 60) if early else device.interval_s
            state = "taken" if device.state == "agreed" and not early and now_us < device.until_us else device.state
            await connection.execute(_POLLED, (now_us, interval_s, state, device_id))
        return replace(device, interval_s=interval_s), early


async def _insert(connection: psycopg.AsyncConnection, granted: Granted) -> None:
    row = (granted.grant_id, granted.sign_in.sign_in_id, granted.client_id, granted.resource, granted.redirect_uri)
    await connection.execute(_GRANT, (*row, granted.challenge, granted.code_until_us, granted.redeemed))


async def _lock(connection: psycopg.AsyncConnection, grant_id: str) -> Granted:
    return _granted(await (await connection.execute(_LOCK_GRANT, (grant_id,))).fetchone())


def _granted(row: tuple[Any, ...] | None) -> Granted:
    if row is None:
        raise NotGood
    sign_in = SignIn(row[1], Person.of_listed(row[10]), row[11])
    return Granted(row[0], sign_in, *row[2:10])
