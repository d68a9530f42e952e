-- The record: one head, one row a session, one row an event. Events are only ever added.

CREATE TABLE countersign.head (
    -- One row for ever: whoever holds its lock is the one writer.
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    next_index bigint  NOT NULL CHECK (next_index >= 0)
) WITH (fillfactor = 10);

INSERT INTO countersign.head (next_index) VALUES (0);

-- What is told of a session without reading its events. Everything here can be derived from events again.
CREATE TABLE countersign.sessions (
    session_id     uuid     PRIMARY KEY,
    -- The index of the session's first event: it never changes, so pages that are ordered by it are stable.
    first_index    bigint   NOT NULL UNIQUE,
    issuer         text     NOT NULL,
    subject        text     NOT NULL,
    groups         text[]   NOT NULL,
    kind           text     NOT NULL,
    token_id       text     NOT NULL,
    target         text     NOT NULL,
    first_time_us  bigint   NOT NULL,
    last_time_us   bigint   NOT NULL,
    event_count    bigint   NOT NULL,
    allowed_count  bigint   NOT NULL,
    denied_count   bigint   NOT NULL,
    refused_count  bigint   NOT NULL,
    finding_count  bigint   NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX sessions_by_subject ON countersign.sessions (subject, first_index DESC);
CREATE INDEX sessions_by_target ON countersign.sessions (target, first_index DESC);

CREATE TABLE countersign.events (
    -- Dense, in commit order.
    index       bigint      PRIMARY KEY,
    event_id    uuid        NOT NULL UNIQUE,
    session_id  uuid        NOT NULL,
    -- Dense within the session, in commit order.
    sequence    bigint      NOT NULL,
    call_id     uuid        NOT NULL,
    kind        smallint    NOT NULL,
    time_us     bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    outcome     smallint    NOT NULL,
    status      integer     NOT NULL,
    target      text        NOT NULL,
    method      text        NOT NULL,
    name        text        NOT NULL,
    rules       text[]      NOT NULL,
    -- The event's canonical JSON (RFC 8785) without its body, kept verbatim. The columns above are drawn from it to be
    -- searched: shortened, and without NUL characters.
    record      text        NOT NULL,
    -- Beside the record, so that it can be erased one day without touching the record.
    body_type   text        NOT NULL,
    body        bytea,
    UNIQUE (session_id, sequence)
);

CREATE INDEX events_by_name ON countersign.events (name, session_id) WHERE kind = 1 AND name <> '';

CREATE FUNCTION countersign.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'countersign.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER events_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON countersign.events
    FOR EACH STATEMENT EXECUTE FUNCTION countersign.refuse_change();
-- Also when session_replication_role would switch triggers off.
ALTER TABLE countersign.events ENABLE ALWAYS TRIGGER events_are_append_only;
