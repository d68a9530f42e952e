"""Demo only: an invented shop in a SQLite file. All of it follows from a seed; none of it is about anybody.

Card numbers satisfy Luhn's formula (ISO/IEC 7812-1, annex B) and credentials have their makers' shapes, so that
detectors meet what they would meet in earnest; nothing of that kind stands in this source.
"""

from __future__ import annotations

import base64
import random
import sqlite3
import string
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

CUSTOMERS = 1200
ORDERS = 4000
NOTES = 900
SEED = 20261101

SCHEMA = """\
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, ssn TEXT NOT NULL,
                        city TEXT NOT NULL, joined_on TEXT NOT NULL);
CREATE TABLE cards (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers,
                    card TEXT NOT NULL, expires TEXT NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers,
                     item TEXT NOT NULL, quantity INTEGER NOT NULL, total_cents INTEGER NOT NULL,
                     status TEXT NOT NULL, placed_on TEXT NOT NULL);
CREATE TABLE notes (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders,
                    author TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX cards_by_customer ON cards (customer_id);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX notes_by_order ON notes (order_id);
"""

_FIRST = "Ada Bela Chiara Dmitri Esra Farid Greta Hiro Ines Jonas Kofi Lina Milo Nadia Oskar Priya Ravi Sofia Tove Uma"
_LAST = "Abend Bruun Castell Dorn Eklund Fiore Gruber Hallas Ibsen Jansky Keller Lindt Moreau Novak Okoye Pell Quist"
_CITIES = "Aldermoor Brackwater Carrowby Dunmere Eastholm Fallowfield Greyport Hartsby"
_ITEMS = "desk lamp,oak shelf,wool blanket,cast-iron pan,field notebook,travel kettle,garden shears,wall clock"
_STATUSES = "placed packed shipped delivered returned"
_PLAIN_NOTES = (
    "Left at the back door as asked.",
    "Customer rang twice about the delivery slot.",
    "Box was dented, contents fine.",
    "Asked for a gift receipt.",
)


def database_path(state: Path) -> Path:
    """Where the shop is kept."""
    return state / "orders.sqlite"


def create(path: Path, *, seed: int = SEED) -> None:
    """Write the whole database to ``path``, replacing what is there; the same seed gives the same rows."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as database, database:
        database.executescript(SCHEMA)
        _fill(database, random.Random(seed))  # noqa: S311 - invented rows must be the same on every run
    # Renamed when complete: a run that was killed while writing leaves no half database behind.
    partial.replace(path)


def _fill(database: sqlite3.Connection, rng: random.Random) -> None:
    names = [_name(rng) for _ in range(CUSTOMERS)]
    database.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", _customers(rng, names))
    database.executemany("INSERT INTO cards VALUES (?, ?, ?, ?)", _cards(rng))
    database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", _orders(rng))
    database.executemany("INSERT INTO notes VALUES (?, ?, ?, ?)", _notes(rng, names))


def _customers(rng: random.Random, names: list[str]) -> Iterator[tuple[int, str, str, str, str, str]]:
    for number, name in enumerate(names, start=1):
        email = f"{name.lower().replace(' ', '.')}{number}@example.{rng.choice(('com', 'org', 'net'))}"
        yield number, name, email, social_security_number(rng), rng.choice(_CITIES.split()), _day(rng, 2024)


def _cards(rng: random.Random) -> Iterator[tuple[int, int, str, str]]:
    for number in range(1, CUSTOMERS + 1):
        yield number, number, card_number(rng), f"{rng.randint(1, 12):02}/{rng.randint(27, 32)}"


def _orders(rng: random.Random) -> Iterator[tuple[int, int, str, int, int, str, str]]:
    for number in range(1, ORDERS + 1):
        # The first customers have the first orders, so that small queries of a walk find joined rows.
        customer = number if number <= CUSTOMERS else rng.randint(1, CUSTOMERS)
        quantity = rng.randint(1, 5)
        item, status = rng.choice(_ITEMS.split(",")), rng.choice(_STATUSES.split())
        yield number, customer, item, quantity, quantity * rng.randint(900, 19900), status, _day(rng, 2026)


def _notes(rng: random.Random, names: list[str]) -> Iterator[tuple[int, int, str, str]]:
    telling = (_cloud_note, _repository_note, _database_note, _card_note, _number_note, _mail_note)
    for number in range(1, NOTES + 1):
        text = telling[number // 2 % len(telling)](rng) if number % 2 else rng.choice(_PLAIN_NOTES)
        yield number, number, rng.choice(names), text


def _cloud_note(rng: random.Random) -> str:
    key, secret = cloud_key(rng)
    return f"Photos are in our bucket, use aws_access_key_id={key} aws_secret_access_key={secret} to fetch them."


def _repository_note(rng: random.Random) -> str:
    return f"The label printer pulls its templates with {repository_token(rng)}, do not change it."


def _database_note(rng: random.Random) -> str:
    return f"Stock is wrong again, check postgres://stock:{_letters(rng, 18)}@db.example.net:5432/stock yourself."


def _card_note(rng: random.Random) -> str:
    card = card_number(rng)
    return f"Paid by phone with {card[:4]} {card[4:8]} {card[8:12]} {card[12:]}, please charge again."


def _number_note(rng: random.Random) -> str:
    return f"Refund form needs the SSN, it is {social_security_number(rng)}."


def _mail_note(rng: random.Random) -> str:
    return f"New address for receipts: {_name(rng).lower().replace(' ', '_')}@example.org."


def card_number(rng: random.Random) -> str:
    """Sixteen digits that satisfy Luhn's formula."""
    body = "4" + "".join(rng.choice(string.digits) for _ in range(14))
    return body + str(-_luhn_sum(body + "0") % 10)


def _luhn_sum(digits: str) -> int:
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return sum(int(d) for d in digits[-1::-2]) + sum(d - 9 if d > 9 else d for d in doubled)


def social_security_number(rng: random.Random) -> str:
    """A number of the shape that the US administration issues (no area 000, 666 or 9xx, no zero group or serial)."""
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}-{rng.randint(1, 99):02}-{rng.randint(1, 9999):04}"


def cloud_key(rng: random.Random) -> tuple[str, str]:
    """An access key id and its secret, of a large cloud's shapes."""
    prefix = "AK" + "IA"
    secret = base64.b64encode(rng.randbytes(30)).decode()
    return prefix + "".join(rng.choice(string.ascii_uppercase + "234567") for _ in range(16)), secret


def repository_token(rng: random.Random) -> str:
    """A token of a code host's shape: 30 characters and the checksum of them."""
    body = _letters(rng, 30)
    return "gh" + "p_" + body + _base62(zlib.crc32(body.encode())).rjust(6, "0")


def _base62(number: int) -> str:
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    text = ""
    while number:
        number, rest = divmod(number, 62)
        text = alphabet[rest] + text
    return text


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(count))


def _name(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST.split())} {rng.choice(_LAST.split())}"


def _day(rng: random.Random, year: int) -> str:
    return f"{year}-{rng.randint(1, 10):02}-{rng.randint(1, 28):02}"
