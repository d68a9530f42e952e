"""Tiles of hashes and bundles of entries: where they are, what they hold, how they grow (c2sp.org/tlog-tiles)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from countersign.tlog.encoding import HASH_BYTES, MAX_SIZE, parse_number
from countersign.tlog.errors import BadEncoding, BadTile
from countersign.tlog.hashing import perfect_root, split_hashes

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
MAX_ENTRY_BYTES: Final = 65_535
"""What the 16-bit length before an entry can say."""

_MAX_LEVEL: Final = 63


class TileId(NamedTuple):
    """A tile by its level (0 holds the hashes of leaves) and its index within the level."""

    level: int
    tile: int


class TilePath(NamedTuple):
    """What a path names: a tile, or (``level`` None) a bundle of entries, and how many hashes or entries it holds."""

    level: int | None
    tile: int
    width: int


@dataclass(frozen=True, slots=True)
class Grown:
    """What a tree became: its size, and every tile that is new or changed, whole."""

    size: int
    tiles: dict[TileId, bytes]


def tile_width(tile: TileId, size: int) -> int:
    """Return how many hashes a tile holds in a tree of ``size`` leaves: 0 (there is none) to 256."""
    return min(max((size >> (TILE_HEIGHT * tile.level)) - tile.tile * TILE_WIDTH, 0), TILE_WIDTH)


def edge_tiles(size: int) -> tuple[TileId, ...]:
    """Return the partial tiles of a tree, from level 0 up: all that ``grow`` must be given."""
    edge = []
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        if count % TILE_WIDTH:
            edge.append(TileId(level, count // TILE_WIDTH))
        level += 1
    return tuple(edge)


def all_tiles(size: int) -> Iterator[TilePath]:
    """Yield every tile of a tree, with its width: level by level from 0, each from the left."""
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        for index in range(-(-count // TILE_WIDTH)):
            yield TilePath(level, index, tile_width(TileId(level, index), size))
        level += 1


def all_bundles(size: int) -> Iterator[TilePath]:
    """Yield every bundle of entries of a tree, with its width, from the left."""
    for index in range(-(-size // TILE_WIDTH)):
        yield TilePath(None, index, tile_width(TileId(0, index), size))


def grow(size: int, edge: Mapping[TileId, bytes], leaves: Iterable[bytes]) -> Grown:
    """Append the hashes of leaves to a tree of ``size`` leaves whose ``edge_tiles`` are ``edge``.

    Deterministic: the same tree and leaves make the same tiles. Raises ``BadTile`` where the edge is not as wide as
    ``size`` says.
    """
    tiles: dict[TileId, bytes] = {}
    added = list(leaves)
    grown = size + len(added)
    level = 0
    while added:
        count = size >> (TILE_HEIGHT * level)
        first = count // TILE_WIDTH
        row = _edge_hashes(edge, TileId(level, first), count % TILE_WIDTH) + added
        for at in range(0, len(row), TILE_WIDTH):
            tiles[TileId(level, first + at // TILE_WIDTH)] = b"".join(row[at : at + TILE_WIDTH])
        full = len(row) - len(row) % TILE_WIDTH
        added = [perfect_root(row[at : at + TILE_WIDTH]) for at in range(0, full, TILE_WIDTH)]
        level += 1
    return Grown(grown, tiles)


def _edge_hashes(edge: Mapping[TileId, bytes], tile: TileId, width: int) -> list[bytes]:
    if not width:
        return []
    content = edge.get(tile, b"")
    if len(content) != width * HASH_BYTES:
        raise BadTile(f"tile {tile.tile} of level {tile.level} has {len(content)} bytes, not {width} hashes")
    return split_hashes(content)


def tile_path(tile: TileId, width: int) -> str:
    """Return a tile's path below the log's prefix, such as ``tile/0/x001/067.p/112``."""
    return f"tile/{tile.level}/{_path(tile.tile, width)}"


def entries_path(index: int, width: int) -> str:
    """Return the path of a bundle of entries below the log's prefix, such as ``tile/entries/x001/067``."""
    return f"tile/entries/{_path(index, width)}"


def parse_path(path: str) -> TilePath:
    """Read what ``tile_path`` and ``entries_path`` write. Raises ``BadTile`` for anything else."""
    parts = path.split("/")
    width = TILE_WIDTH
    if len(parts) > 1 and parts[-2].endswith(".p"):
        width = _number(parts.pop(), path)
        parts[-1] = parts[-1].removesuffix(".p")
        if not 0 < width < TILE_WIDTH:
            raise BadTile(f"{path[:200]!r}: a partial tile is 1 to {TILE_WIDTH - 1} wide")
    if len(parts) < 3 or parts[0] != "tile":
        raise BadTile(f"{path[:200]!r} is not the path of a tile")
    level = None if parts[1] == "entries" else _number(parts[1], path)
    digits = "".join([part.removeprefix("x") for part in parts[2:]])[-19:]
    index = _number(digits.lstrip("0") or "0", path)
    # Written again and compared: there is one path a tile.
    named = entries_path(index, width) if level is None else tile_path(TileId(level, index), width)
    if named != path or (level is not None and level > _MAX_LEVEL):
        raise BadTile(f"{path[:200]!r} is not the path of a tile")
    return TilePath(level, index, width)


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Write a bundle of entries: each with its length before it. Raises ``BadTile`` for one that is too long."""
    pieces: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise BadTile(f"an entry has {len(entry)} bytes: more than {MAX_ENTRY_BYTES}")
        pieces += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(pieces)


def decode_entries(content: bytes, width: int) -> Sequence[bytes]:
    """Read a bundle of exactly ``width`` entries. Raises ``BadTile``."""
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        begin = at + 2
        at = begin + int.from_bytes(content[at:begin], "big")
        if begin > len(content) or at > len(content):
            raise BadTile(f"a bundle of {width} entries ends within entry {len(entries)}")
        entries.append(content[begin:at])
    if at != len(content):
        raise BadTile(f"a bundle of {width} entries has {len(content) - at} bytes more")
    return entries


def _path(index: int, width: int) -> str:
    if not (0 <= index <= MAX_SIZE and 0 < width <= TILE_WIDTH):
        raise BadTile(f"there is no tile {index} that is {width} wide")
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    whole = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return whole if width == TILE_WIDTH else f"{whole}.p/{width}"


def _number(text: str, path: str) -> int:
    try:
        return parse_number(text)
    except BadEncoding:
        raise BadTile(f"{path[:200]!r} is not the path of a tile") from None
