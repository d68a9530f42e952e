"""The text of a body and its bytes: encodings, what stands around a value, accidents."""

from __future__ import annotations

import random

from tests.differential.drafts import Draft, tree_of, write
from tests.differential.honest import message
from tests.differential.mutations.places import set_header
from tests.differential.mutations.signs import CODECS, NOT_UTF8, OVERLONG, REMARKS, TRAILING


def encoding(draft: Draft, chance: random.Random) -> None:
    codec = chance.choice(CODECS)
    marks = {"utf-16-be": b"\xfe\xff", "utf-32-be": b"\x00\x00\xfe\xff"}
    mark = marks.get(codec, b"") if chance.random() < 0.5 else b""
    draft.on_bytes.append(lambda data: mark + data.decode("utf-8", "replace").encode(codec, "replace"))
    if chance.random() < 0.4:
        set_header(draft, "content-type", f"application/json; charset={codec}")


def overlong(draft: Draft, chance: random.Random) -> None:
    sign, wrong = chance.choice(tuple(OVERLONG.items()))

    def change(data: bytes) -> bytes:
        if chance.random() < 0.5:
            return data.replace(sign, wrong, 1)
        at = chance.randrange(len(data) + 1)
        return data[:at] + chance.choice(NOT_UTF8) + data[at:]

    draft.on_bytes.append(change)


def trailing(draft: Draft, chance: random.Random) -> None:
    rest = chance.choice(TRAILING)
    draft.on_bytes.append(lambda data: data + rest if chance.random() < 0.7 else rest + data)


def concatenated(draft: Draft, chance: random.Random) -> None:
    other = write(tree_of(message(chance, modern=chance.random() < 0.5)), None).encode()
    joint = chance.choice((b"", b"\n", b" ", b",", b"\x1e", b"\r\n\r\n", b"\x00"))
    draft.on_bytes.append(lambda data: data + joint + other if chance.random() < 0.5 else other + joint + data)


def comment(draft: Draft, chance: random.Random) -> None:
    remark = chance.choice(REMARKS)

    def change(text: str) -> str:
        places = [at for at, char in enumerate(text) if char in "{}[],:"] or [len(text)]
        at = chance.choice(places) + chance.randrange(2)
        return text[:at] + remark + text[at:]

    draft.on_text.append(change)


def spliced(draft: Draft, chance: random.Random) -> None:
    def change(data: bytes) -> bytes:
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                return data[:at]
            case 1:
                return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 2:
                return data[:at] + data[at + chance.randrange(1, 9) :]
            case _:
                start = chance.randrange(len(data) + 1)
                return data[:at] + data[start : start + chance.randrange(1, 20)] + data[at:]

    draft.on_bytes.append(change)
