-- Sessions in which calls waited for humans are few, and no column of sessions counts them.

CREATE INDEX events_waiting ON countersign.events (session_id) WHERE kind = 1 AND outcome = 4;
