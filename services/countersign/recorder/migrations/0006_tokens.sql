-- The values behind the tokens that callers were shown: sealed, so that this database alone gives none of them away.

CREATE TABLE countersign.token_sessions (
    session_id text    COLLATE "C" PRIMARY KEY,
    -- How many rows of tokens it has.
    held       integer NOT NULL CHECK (held >= 0)
);

CREATE TABLE countersign.tokens (
    session_id text   COLLATE "C" NOT NULL REFERENCES countersign.token_sessions,
    -- Keyed hashes of the token and of what it begins with.
    mark       bytea  NOT NULL CHECK (octet_length(mark) = 16),
    head       bytea  NOT NULL CHECK (octet_length(head) = 8),
    sealed     bytea  NOT NULL,
    -- Microseconds since the epoch.
    expires_us bigint NOT NULL,
    PRIMARY KEY (session_id, mark)
);

CREATE INDEX tokens_by_head ON countersign.tokens (session_id, head);
CREATE INDEX tokens_by_expiry ON countersign.tokens (expires_us);

CREATE FUNCTION countersign.keep_tokens(
    p_session text, p_marks bytea[], p_values bytea[], p_heads bytea[], p_sealed bytea[],
    p_lifetime_us bigint, p_most integer,
    OUT is_full boolean, OUT taken bytea[], OUT echoes bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    v_now_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    v_held   integer;
    v_new    integer;
BEGIN
    LOOP
        INSERT INTO countersign.token_sessions (session_id, held) VALUES (p_session, 0) ON CONFLICT DO NOTHING;
        SELECT held INTO v_held FROM countersign.token_sessions WHERE session_id = p_session FOR UPDATE;
        -- A sweep may have removed it between the two.
        EXIT WHEN FOUND;
    END LOOP;
    -- Whoever changes this session's tokens holds its row, and each statement from here on sees what they did.
    SELECT coalesce(array_agg(DISTINCT given.value), '{}') INTO echoes
    FROM unnest(p_values) AS given(value)
    JOIN countersign.tokens AS kept ON kept.session_id = p_session AND kept.mark = given.value;
    SELECT coalesce(array_agg(given.mark), '{}') INTO taken
    FROM unnest(p_marks, p_sealed) AS given(mark, sealed)
    JOIN countersign.tokens AS kept ON kept.session_id = p_session AND kept.mark = given.mark
    WHERE kept.sealed <> given.sealed;
    SELECT count(*) INTO v_new
    FROM unnest(p_marks, p_values) AS given(mark, value)
    WHERE given.value <> ALL (echoes) AND NOT EXISTS (
        SELECT FROM countersign.tokens AS kept WHERE kept.session_id = p_session AND kept.mark = given.mark);
    is_full := v_new > 0 AND v_held + v_new > p_most;
    IF is_full THEN
        RETURN;
    END IF;
    -- What was used lives longer; not on every use, since each such change leaves an old row behind.
    UPDATE countersign.tokens AS kept SET expires_us = v_now_us + p_lifetime_us
    FROM unnest(p_marks, p_sealed) AS given(mark, sealed)
    WHERE kept.session_id = p_session AND kept.mark = given.mark AND kept.sealed = given.sealed
        AND kept.expires_us < v_now_us + p_lifetime_us / 2;
    INSERT INTO countersign.tokens (session_id, mark, head, sealed, expires_us)
    SELECT p_session, given.mark, given.head, given.sealed, v_now_us + p_lifetime_us
    FROM unnest(p_marks, p_values, p_heads, p_sealed) AS given(mark, value, head, sealed)
    WHERE given.value <> ALL (echoes)
    ON CONFLICT DO NOTHING;
    UPDATE countersign.token_sessions SET held = held + v_new WHERE session_id = p_session AND v_new > 0;
END $$;

CREATE FUNCTION countersign.sweep_tokens(p_most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_now_us  bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    v_session text;
    v_removed integer;
    v_total   integer := 0;
BEGIN
    -- In order, so that two sweeps never wait for one another's sessions.
    FOR v_session IN
        SELECT DISTINCT due.session_id FROM (
            SELECT session_id FROM countersign.tokens WHERE expires_us <= v_now_us ORDER BY expires_us LIMIT p_most
        ) AS due ORDER BY due.session_id
    LOOP
        EXIT WHEN v_total >= p_most;
        PERFORM FROM countersign.token_sessions WHERE session_id = v_session FOR UPDATE;
        DELETE FROM countersign.tokens WHERE session_id = v_session AND mark IN (
            SELECT mark FROM countersign.tokens
            WHERE session_id = v_session AND expires_us <= v_now_us LIMIT p_most - v_total);
        GET DIAGNOSTICS v_removed = ROW_COUNT;
        UPDATE countersign.token_sessions SET held = held - v_removed WHERE session_id = v_session;
        DELETE FROM countersign.token_sessions WHERE session_id = v_session AND held = 0;
        v_total := v_total + v_removed;
    END LOOP;
    RETURN v_total;
END $$;
