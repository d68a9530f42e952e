-- Approvals: one row each, its people, its uses and who waits for it; what is still to be recorded and to be told.
-- Times are microseconds since the epoch, and always the asking service's: nothing here reads a clock.

CREATE TABLE countersign_approvals.approvals (
    id             text    COLLATE "C" PRIMARY KEY,
    state          text    COLLATE "C" NOT NULL CHECK (
        state IN ('pending', 'approved', 'denied', 'expired', 'abandoned', 'cancelled', 'consumed')),
    -- Grows by one with every change.
    version        bigint  NOT NULL CHECK (version > 0),
    digest         bytea   NOT NULL,
    -- Who asked.
    issuer         text    COLLATE "C" NOT NULL,
    subject        text    COLLATE "C" NOT NULL,
    -- countersign.api.approvals.v1.AskRequest without its waiter: all that never changes.
    question       bytea   NOT NULL,
    asked_at_us    bigint  NOT NULL,
    expires_at_us  bigint  NOT NULL,
    -- 0 where it has not come to that.
    decided_at_us  bigint  NOT NULL DEFAULT 0,
    grant_until_us bigint  NOT NULL DEFAULT 0,
    reuse_us       bigint  NOT NULL,
    uses           integer NOT NULL DEFAULT 0,
    used_by        text    NOT NULL DEFAULT '',
    reason         text    NOT NULL DEFAULT '',
    -- Until when its caller, who is expected back, is yet to be told that it was denied; 0 where that is not so.
    untold_until_us bigint NOT NULL DEFAULT 0,
    -- When it is over, unless something becomes of it; NULL when something did.
    over_at_us     bigint  GENERATED ALWAYS AS (
        CASE state WHEN 'pending' THEN expires_at_us WHEN 'approved' THEN grant_until_us END) STORED
) WITH (fillfactor = 80);

-- A call is asked about once at a time: whoever asks again joins.
CREATE UNIQUE INDEX approvals_open ON countersign_approvals.approvals (digest)
    WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_untold ON countersign_approvals.approvals (digest) WHERE untold_until_us > 0;
CREATE INDEX approvals_by_end ON countersign_approvals.approvals (over_at_us) WHERE over_at_us IS NOT NULL;
CREATE INDEX approvals_pending ON countersign_approvals.approvals (issuer, subject) WHERE state = 'pending';
CREATE INDEX approvals_by_time ON countersign_approvals.approvals (asked_at_us, id);
CREATE INDEX approvals_by_state ON countersign_approvals.approvals (state, asked_at_us, id);

CREATE TABLE countersign_approvals.decisions (
    approval_id text    COLLATE "C" NOT NULL REFERENCES countersign_approvals.approvals ON DELETE CASCADE,
    issuer      text    COLLATE "C" NOT NULL,
    subject     text    COLLATE "C" NOT NULL,
    -- The version that it made: decisions are read in this order.
    version     bigint  NOT NULL,
    agrees      boolean NOT NULL,
    note        text    NOT NULL,
    at_us       bigint  NOT NULL,
    -- For whose demands it counts; and the rule by which the caller broke the glass, else empty.
    rules       text[]  NOT NULL,
    glass       text    NOT NULL,
    -- Nobody decides twice.
    PRIMARY KEY (approval_id, issuer, subject)
);

CREATE TABLE countersign_approvals.uses (
    approval_id text   COLLATE "C" NOT NULL REFERENCES countersign_approvals.approvals ON DELETE CASCADE,
    call_id     text   COLLATE "C" NOT NULL,
    at_us       bigint NOT NULL,
    PRIMARY KEY (approval_id, call_id)
);

-- HTTP requests that are held or whose callers are expected back; gone with what they wait for.
CREATE TABLE countersign_approvals.waiters (
    approval_id text   COLLATE "C" NOT NULL REFERENCES countersign_approvals.approvals ON DELETE CASCADE,
    waiter_id   text   COLLATE "C" NOT NULL,
    session_id  text   COLLATE "C" NOT NULL,
    rpc_id      text   COLLATE "C" NOT NULL,
    -- Until then it counts, whatever is heard of it.
    until_us    bigint NOT NULL,
    -- Whether it is held; else its caller is expected back.
    held        boolean NOT NULL DEFAULT true,
    PRIMARY KEY (approval_id, waiter_id)
);

CREATE INDEX waiters_by_session ON countersign_approvals.waiters (session_id);

-- What is not known to be in the record yet. Written by the commit that made it true, deleted once it is durable there.
CREATE TABLE countersign_approvals.outbox (
    event_id       uuid   PRIMARY KEY,
    -- Those of one approval are in order: whoever writes one holds its row.
    number         bigint GENERATED ALWAYS AS IDENTITY,
    approval_id    text   COLLATE "C" NOT NULL,
    what           text   NOT NULL,
    -- countersign.api.approvals.v1.Approval, right after the change.
    approval       bytea  NOT NULL,
    -- JSON of who did it; empty when time did.
    actor          text   NOT NULL,
    at_us          bigint NOT NULL,
    call_id        text   NOT NULL,
    note           text   NOT NULL,
    source_address text   NOT NULL,
    traceparent    text   NOT NULL
);

CREATE INDEX outbox_by_number ON countersign_approvals.outbox (number);
CREATE INDEX outbox_by_approval ON countersign_approvals.outbox (approval_id, number);

-- Changes of which people are to be told. Written by the commit that made them, deleted once deliveries stand for them.
CREATE TABLE countersign_approvals.notices (
    event_id    uuid   PRIMARY KEY,
    approval_id text   COLLATE "C" NOT NULL REFERENCES countersign_approvals.approvals ON DELETE CASCADE,
    version     bigint NOT NULL,
    -- As in the outbox.
    what        text   NOT NULL,
    at_us       bigint NOT NULL
);

CREATE INDEX notices_by_approval ON countersign_approvals.notices (approval_id, version);
