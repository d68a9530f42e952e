-- What targets handed to callers to come back with, by keyed hashes alone: this database gives none of it away.

CREATE TABLE countersign.handles (
    -- Of the kind of handle and of whom it was handed to.
    scope      bytea  NOT NULL CHECK (octet_length(scope) = 16),
    mark       bytea  NOT NULL CHECK (octet_length(mark) = 16),
    what       text   NOT NULL,
    -- Microseconds since the epoch.
    expires_us bigint NOT NULL,
    PRIMARY KEY (scope, mark)
);

CREATE INDEX handles_by_expiry ON countersign.handles (expires_us);

CREATE FUNCTION countersign.keep_handles(
    p_scopes bytea[], p_marks bytea[], p_whats text[], p_lifetimes_us bigint[], p_most integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_now_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    v_scope  bytea;
    v_held   integer;
BEGIN
    -- In order, so that two who keep the same never wait for one another.
    INSERT INTO countersign.handles AS kept (scope, mark, what, expires_us)
    SELECT DISTINCT ON (given.scope, given.mark) given.scope, given.mark, given.what, v_now_us + given.lifetime_us
    FROM unnest(p_scopes, p_marks, p_whats, p_lifetimes_us) AS given(scope, mark, what, lifetime_us)
    ORDER BY given.scope, given.mark
    ON CONFLICT (scope, mark) DO UPDATE SET what = excluded.what, expires_us = excluded.expires_us;
    FOR v_scope IN SELECT DISTINCT given.scope FROM unnest(p_scopes) AS given(scope) ORDER BY 1 LOOP
        SELECT count(*) INTO v_held FROM countersign.handles WHERE scope = v_scope;
        CONTINUE WHEN v_held <= p_most;
        DELETE FROM countersign.handles WHERE scope = v_scope AND mark IN (
            SELECT mark FROM countersign.handles WHERE scope = v_scope AND mark <> ALL (p_marks)
            ORDER BY expires_us, mark LIMIT v_held - p_most);
    END LOOP;
END $$;
