-- Links through which a decision was made: each is good for one. Times are microseconds since the epoch.

CREATE TABLE countersign_approvals.used_links (
    -- The link's own id; the link itself is nowhere.
    link_id     text   COLLATE "C" PRIMARY KEY,
    approval_id text   COLLATE "C" NOT NULL,
    -- Who used it.
    issuer      text   COLLATE "C" NOT NULL,
    subject     text   COLLATE "C" NOT NULL,
    at_us       bigint NOT NULL,
    -- From then on nobody can open the link, and the row is of no use.
    until_us    bigint NOT NULL
);

CREATE INDEX used_links_past ON countersign_approvals.used_links (until_us);
