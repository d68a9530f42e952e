-- What is good once: codes, ids of assertions and of what issuers tell. Times are microseconds since the epoch.

CREATE TABLE countersign_portal.used (
    kind     text   COLLATE "C" NOT NULL,
    -- SHA-256 of the id: the id itself is nowhere, and of one length.
    digest   bytea  NOT NULL,
    -- From then on nobody would take it anyway, and the row is of no use.
    until_us bigint NOT NULL,
    PRIMARY KEY (kind, digest)
);

CREATE INDEX used_past ON countersign_portal.used (until_us);
