-- The index of the search: derived from events, bodies and sessions, and can be made again from them. It is of blocks of
-- 256 events (block = index >> 8), each written once, when it is full; see search/ for what the bits are.

CREATE TABLE countersign.marks (
    block       bigint NOT NULL PRIMARY KEY,
    -- Of the block's events.
    min_time_us bigint NOT NULL,
    max_time_us bigint NOT NULL,
    -- A signature of the facets of the block's events.
    bits        bytea  NOT NULL
);
-- Random bits do not let themselves be compressed, and are read one after the other.
ALTER TABLE countersign.marks ALTER COLUMN bits SET STORAGE MAIN;

-- The facets of sessions' events, each by 64 bits that stand for it. Only ever added to, newest sessions found first.
CREATE TABLE countersign.session_marks (
    facet       bigint NOT NULL,
    -- The session's.
    first_index bigint NOT NULL,
    PRIMARY KEY (facet, first_index)
);

CREATE TABLE countersign.search_progress (
    -- One row for ever: whoever holds its lock indexes.
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The first block that is not indexed.
    next_block bigint  NOT NULL
) WITH (fillfactor = 10);

INSERT INTO countersign.search_progress (next_block) VALUES (0);

-- A body that is held beyond its month loses the words of its shelf: its block is looked at, whatever is asked for.
CREATE FUNCTION countersign.find_held_body() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO countersign.words_0 (block, shelf, bits) VALUES (NEW.index >> 8, 0, '\xff') ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER held_bodies_are_found AFTER INSERT ON countersign.bodies_0
    FOR EACH ROW EXECUTE FUNCTION countersign.find_held_body();
