-- The tools that targets offer, pinned by what operators, or the first sight of a target, accepted.

CREATE TABLE countersign.tool_head (
    -- One row for ever. It is moved as the last step of a change, so revisions are dense and in commit order.
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    revision bigint  NOT NULL CHECK (revision >= 0)
) WITH (fillfactor = 10);

INSERT INTO countersign.tool_head (revision) VALUES (0);

CREATE TABLE countersign.tool_targets (
    target        text    COLLATE "C" PRIMARY KEY,
    first_seen_us bigint  NOT NULL,
    -- Until then what the target lists is accepted as it comes; 0 once its first listing was complete.
    open_until_us bigint  NOT NULL,
    tool_count    integer NOT NULL,
    revision      bigint  NOT NULL
);

CREATE INDEX tool_targets_by_revision ON countersign.tool_targets (revision);

CREATE TABLE countersign.tools (
    target              text     COLLATE "C" NOT NULL REFERENCES countersign.tool_targets,
    name                text     COLLATE "C" NOT NULL,
    -- 1 accepted, 2 new, 3 changed.
    state               smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    -- SHA-256 of the definition as the target sent it; the definitions themselves are masked.
    seen_digest         bytea    NOT NULL,
    seen_definition     text     NOT NULL,
    -- What is suspicious about it: a JSON array.
    seen_flags          text     NOT NULL,
    accepted_digest     bytea,
    accepted_definition text,
    -- Who accepted it; empty when the first sight, or new_tools: allow, did.
    accepted_issuer     text     NOT NULL,
    accepted_subject    text     NOT NULL,
    accepted_us         bigint   NOT NULL,
    first_seen_us       bigint   NOT NULL,
    changed_us          bigint   NOT NULL,
    revision            bigint   NOT NULL,
    PRIMARY KEY (target, name),
    -- What was never accepted is new, and what is accepted is what was seen last.
    CHECK ((accepted_digest IS NULL) = (state = 2)),
    CHECK ((accepted_digest IS NULL) = (accepted_definition IS NULL)),
    CHECK (state = 2 OR (seen_digest = accepted_digest) = (state = 1))
);

CREATE INDEX tools_by_revision ON countersign.tools (revision);
CREATE INDEX tools_pending ON countersign.tools (target, name) WHERE state <> 1;
