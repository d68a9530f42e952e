-- Of each handle: whose target showed it to which principal, by keyed hashes; the answer that took it, which alone can use
-- it up; and the masks of the call that handed it out.

ALTER TABLE countersign.handles
    ADD COLUMN target    bytea  NOT NULL DEFAULT '\x00000000000000000000000000000000' CHECK (octet_length(target) = 16),
    ADD COLUMN principal bytea  NOT NULL DEFAULT '\x00000000000000000000000000000000' CHECK (octet_length(principal) = 16),
    ADD COLUMN answer    bytea  CHECK (octet_length(answer) = 16),
    ADD COLUMN masks     text[] NOT NULL DEFAULT '{}';

DROP FUNCTION countersign.keep_handles(bytea[], bytea[], text[], bigint[], integer);

CREATE FUNCTION countersign.keep_handles(
    p_scopes bytea[], p_marks bytea[], p_whats text[], p_lifetimes_us bigint[], p_target bytea, p_principal bytea,
    p_masks text[], p_most integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_now_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    v_scope  bytea;
    v_held   integer;
BEGIN
    -- In order, so that two who keep the same never wait for one another. Whoever shows a handle again takes no mask away.
    INSERT INTO countersign.handles AS kept (scope, mark, what, expires_us, target, principal, masks)
    SELECT DISTINCT ON (given.scope, given.mark)
        given.scope, given.mark, given.what, v_now_us + given.lifetime_us, p_target, p_principal, p_masks
    FROM unnest(p_scopes, p_marks, p_whats, p_lifetimes_us) AS given(scope, mark, what, lifetime_us)
    ORDER BY given.scope, given.mark
    ON CONFLICT (scope, mark) DO UPDATE SET
        what = excluded.what, expires_us = excluded.expires_us, target = excluded.target,
        principal = excluded.principal, answer = NULL,
        masks = ARRAY(SELECT DISTINCT unnest(kept.masks || excluded.masks) ORDER BY 1);
    FOR v_scope IN SELECT DISTINCT given.scope FROM unnest(p_scopes) AS given(scope) ORDER BY 1 LOOP
        SELECT count(*) INTO v_held FROM countersign.handles WHERE scope = v_scope;
        CONTINUE WHEN v_held <= p_most;
        DELETE FROM countersign.handles WHERE scope = v_scope AND mark IN (
            SELECT mark FROM countersign.handles WHERE scope = v_scope AND mark <> ALL (p_marks)
            ORDER BY expires_us, mark LIMIT v_held - p_most);
    END LOOP;
END $$;
