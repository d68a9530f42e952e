-- The tools that operators had forgotten, so that those who follow the pins are told. One that is offered again keeps its
-- row here: it was forgotten before it became known again, and is told in that order.

CREATE TABLE countersign.forgotten_tools (
    target   text   COLLATE "C" NOT NULL REFERENCES countersign.tool_targets,
    name     text   COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (target, name)
);

CREATE INDEX forgotten_tools_by_revision ON countersign.forgotten_tools (revision);
