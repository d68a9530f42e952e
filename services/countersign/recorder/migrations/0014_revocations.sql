-- What is taken back: principals, tokens, sign-ins, sessions, and issuers before a time.

CREATE TABLE countersign.revocation_head (
    -- One row for ever: whoever changes revocations holds its lock, so versions are dense and in commit order.
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    version   bigint  NOT NULL CHECK (version >= 0),
    -- Of what was lifted, rows up to this version are gone: who was told less begins anew.
    forgotten bigint  NOT NULL CHECK (forgotten >= 0),
    in_force  bigint  NOT NULL CHECK (in_force >= 0)
) WITH (fillfactor = 10);

INSERT INTO countersign.revocation_head (version, forgotten, in_force) VALUES (0, 0, 0);

CREATE TABLE countersign.revocations (
    revocation_id   uuid        PRIMARY KEY,
    -- Of its last change: that it was made, or that it was lifted.
    version         bigint      NOT NULL UNIQUE,
    -- 1 principal, 2 token, 3 sign-in, 4 session, 5 issuer.
    kind            smallint    NOT NULL CHECK (kind BETWEEN 1 AND 5),
    issuer          text        COLLATE "C" NOT NULL,
    value           text        COLLATE "C" NOT NULL,
    issued_before_s bigint,
    reason          text        NOT NULL,
    -- 0: until it is lifted.
    until_us        bigint      NOT NULL,
    revoked_us      bigint      NOT NULL,
    -- An operator; or an issuer, without a subject, and then which of our services heard it.
    by_issuer       text        NOT NULL,
    by_subject      text        NOT NULL,
    source          text        NOT NULL,
    -- Whether its open sessions were sealed.
    sealed          boolean     NOT NULL DEFAULT false,
    -- Kept for a while after it was lifted or lapsed, so that all who follow are told.
    lifted_at       timestamptz,
    CHECK ((kind = 4) = (issuer = '')),
    CHECK ((kind = 5) = (value = '')),
    CHECK ((by_subject = '') = (source <> ''))
);

CREATE INDEX revocations_by_key ON countersign.revocations (kind, issuer, value) WHERE lifted_at IS NULL;
CREATE INDEX revocations_by_time ON countersign.revocations (revoked_us, revocation_id) WHERE lifted_at IS NULL;
CREATE INDEX revocations_that_lapse ON countersign.revocations (until_us) WHERE lifted_at IS NULL AND until_us > 0;
CREATE INDEX revocations_lifted ON countersign.revocations (lifted_at) WHERE lifted_at IS NOT NULL;
CREATE INDEX revocations_to_seal ON countersign.revocations (revoked_us) WHERE lifted_at IS NULL AND NOT sealed;

-- What the record is still to be told, in the bytes in which it is told: the same, however often it is tried. What is to
-- be lifted is in force until the record knows of it. Who has the database lifts by a row with an empty event.
CREATE TABLE countersign.revocation_events (
    event_id      uuid        PRIMARY KEY,
    revocation_id uuid        NOT NULL,
    lifts         boolean     NOT NULL,
    event         bytea       NOT NULL,
    made_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (lifts OR event <> ''),
    -- One of each kind for a revocation.
    UNIQUE (revocation_id, lifts)
);

CREATE INDEX revocation_events_by_age ON countersign.revocation_events (made_at);

-- What issuers told, by a digest of what tells it from everything else that they told: taken in once.
CREATE TABLE countersign.revocations_heard (
    source    text        COLLATE "C" NOT NULL,
    source_id bytea       NOT NULL,
    heard_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, source_id)
);

CREATE INDEX revocations_heard_by_age ON countersign.revocations_heard (heard_at);

-- By what else its tokens may be revoked: "s:" and the sign-in, "p:" and a subject that it is not named after.
ALTER TABLE countersign.sessions ADD COLUMN known_as text[] NOT NULL DEFAULT '{}';

CREATE INDEX sessions_open_by_subject ON countersign.sessions (issuer, subject) WHERE seal_index IS NULL;
