-- The log: the tree over all events, as tiles (c2sp.org/tlog-tiles), and what was signed and shown of it.

CREATE TABLE countersign.tiles (
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    tile   bigint   NOT NULL CHECK (tile >= 0),
    -- Up to 256 hashes of 32 bytes, in order. Only the last tile of a level holds fewer; it grows, and never changes.
    hashes bytea    NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (level, tile)
);
-- Hashes cannot be compressed.
ALTER TABLE countersign.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- One row for ever: whoever holds its lock puts events into the tree.
CREATE TABLE countersign.log (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- How many events are in the tree: their leaves are those below this index.
    integrated_size bigint  NOT NULL CHECK (integrated_size >= 0)
) WITH (fillfactor = 10);

INSERT INTO countersign.log (integrated_size) VALUES (0);

-- The last checkpoint that was signed in the name of an origin, whether or not it was shown. Whoever holds the row's
-- lock signs.
CREATE TABLE countersign.signed (
    origin    text        PRIMARY KEY,
    size      bigint      NOT NULL CHECK (size >= 0),
    note      text        NOT NULL,
    signed_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Checkpoints that were shown, with their cosignatures: all of the last hour, and the last of each hour before.
CREATE TABLE countersign.checkpoints (
    origin       text        NOT NULL,
    size         bigint      NOT NULL CHECK (size >= 0),
    note         text        NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (origin, size)
);

-- Work that one recorder does for all: it is whose turn it is until then, by the database's clock.
CREATE TABLE countersign.turns (
    work  text        PRIMARY KEY,
    whose uuid        NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
