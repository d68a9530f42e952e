-- By which token somebody decided, so that what was revoked of it counts no more; never the token itself.

-- NULL of what was decided before this was kept, and by a replica of an older version.
ALTER TABLE countersign_approvals.decisions
    ADD COLUMN token_id      text COLLATE "C",
    -- Seconds since the epoch, 0 where the token does not say when it was issued.
    ADD COLUMN issued_s      bigint,
    -- The issuer's id of the sign-in behind it, and what it calls its subject where that is another: else empty.
    ADD COLUMN signed_in     text COLLATE "C",
    ADD COLUMN token_subject text COLLATE "C";
