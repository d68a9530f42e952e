-- Notifications: one row for each change and channel. Times are microseconds since the epoch, the notifier's.

CREATE TABLE countersign_approvals.deliveries (
    -- The same over all attempts: receivers know by it what they have seen.
    id             text    COLLATE "C" PRIMARY KEY,
    -- The notice that it was made of.
    event_id       uuid    NOT NULL,
    approval_id    text    COLLATE "C" NOT NULL REFERENCES countersign_approvals.approvals ON DELETE CASCADE,
    version        bigint  NOT NULL,
    what           text    NOT NULL,
    at_us          bigint  NOT NULL,
    -- The channel's name in gateway.yaml, which may name it no longer.
    channel        text    COLLATE "C" NOT NULL,
    state          text    COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts       integer NOT NULL DEFAULT 0,
    next_try_us    bigint  NOT NULL,
    -- Until then somebody is at it: committed before anything is sent, so that no lock is held meanwhile.
    lease_until_us bigint  NOT NULL DEFAULT 0,
    -- What went wrong last; nothing that the other side said.
    problem        text    NOT NULL DEFAULT '',
    -- What the channel must remember: Slack's name of the message.
    memory         text    NOT NULL DEFAULT '',
    created_us     bigint  NOT NULL,
    UNIQUE (event_id, channel)
);

CREATE INDEX deliveries_due ON countersign_approvals.deliveries (next_try_us) WHERE state = 'waiting';
CREATE INDEX deliveries_by_approval ON countersign_approvals.deliveries (approval_id, channel, version);
CREATE INDEX deliveries_by_time ON countersign_approvals.deliveries (created_us, id);
CREATE INDEX deliveries_dead ON countersign_approvals.deliveries (created_us, id) WHERE state = 'dead';
