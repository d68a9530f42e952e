-- What is kept although its time is over, and what was erased.

CREATE TABLE countersign.holds (
    hold_id     uuid        PRIMARY KEY,
    -- One session with those that it goes on from and those that go on from it; or all sessions of a principal.
    session_id  uuid,
    issuer      text,
    subject     text,
    reason      text        NOT NULL,
    placed_by   text        NOT NULL,
    placed_at   timestamptz NOT NULL,
    -- Set once nobody holds by it any more ...
    released_at timestamptz,
    -- ... and then, whether what it alone held back is gone.
    swept       boolean     NOT NULL DEFAULT false,
    CHECK ((session_id IS NULL) = (issuer IS NOT NULL AND subject IS NOT NULL))
);

CREATE INDEX holds_in_force ON countersign.holds (placed_at) WHERE released_at IS NULL;
CREATE INDEX holds_to_sweep ON countersign.holds (hold_id) WHERE released_at IS NOT NULL AND NOT swept;

-- Each erasure is told to the record twice: that it begins, before anything is gone, and how it ended. Both can be told
-- again in the same words after a crash, since all that they say stands here.
CREATE TABLE countersign.erasures (
    erasure_id uuid     PRIMARY KEY,
    -- 0: bodies that a hold kept beyond their month, and that nothing holds any more.
    shelf      int      NOT NULL REFERENCES countersign.shelves,
    target     text     NOT NULL,
    month      date     NOT NULL,
    -- What retention said; null for shelf 0.
    kept_days  int,
    begun_us   bigint   NOT NULL,
    -- Set in the transaction in which the bodies go.
    outcome    text     CHECK (outcome IN ('erased', 'called_off')),
    ended_us   bigint,
    bodies     bigint   NOT NULL DEFAULT 0,
    size_bytes bigint   NOT NULL DEFAULT 0,
    held       bigint   NOT NULL DEFAULT 0,
    told       boolean  NOT NULL DEFAULT false,
    CHECK ((outcome IS NULL) = (ended_us IS NULL)),
    CHECK (outcome IS NOT NULL OR NOT told)
);

-- One at a time for each shelf.
CREATE UNIQUE INDEX erasures_under_way ON countersign.erasures (shelf) WHERE NOT told;

CREATE INDEX sessions_by_continues ON countersign.sessions (continues) WHERE continues IS NOT NULL;

CREATE FUNCTION countersign.held_sessions() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE held AS (
        SELECT s.session_id, s.continues FROM countersign.sessions AS s
        JOIN countersign.holds AS h ON h.session_id = s.session_id AND h.released_at IS NULL
        UNION
        SELECT s.session_id, s.continues FROM countersign.sessions AS s
        JOIN countersign.holds AS h ON h.subject = s.subject AND h.issuer = s.issuer AND h.released_at IS NULL
        UNION
        SELECT s.session_id, s.continues FROM countersign.sessions AS s
        JOIN held ON s.continues = held.session_id OR s.session_id = held.continues
    )
    SELECT session_id FROM held
$$;

-- Whoever places or releases a hold has this lock shared, whoever erases has it alone: a hold is before or after.
CREATE FUNCTION countersign.holds_stand_still(alone boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF alone THEN
        PERFORM pg_advisory_xact_lock(1668247154, 12);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(1668247154, 12);
    END IF;
END
$$;

-- Whether bodies that a hold kept beyond their month are held by nobody now; when none are, this is remembered.
CREATE FUNCTION countersign.any_let_go() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_sessions uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM countersign.holds WHERE released_at IS NOT NULL AND NOT swept) THEN
        RETURN false;
    END IF;
    PERFORM countersign.holds_stand_still(true);
    v_sessions := ARRAY(SELECT countersign.held_sessions());
    IF EXISTS (
        SELECT FROM countersign.bodies AS b JOIN countersign.events AS e ON e.index = b.index
        WHERE b.shelf = 0 AND e.session_id <> ALL (v_sessions)
    ) THEN
        RETURN true;
    END IF;
    UPDATE countersign.holds SET swept = true WHERE released_at IS NOT NULL AND NOT swept;
    RETURN false;
END
$$;

-- Erases what the erasure is about, but for what is held, and says in its row what that was; nothing when it has ended.
-- One statement of the caller's, so that all of it happens or nothing.
CREATE FUNCTION countersign.erase(which uuid, now_us bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    gone int;
    v_bodies bigint;
    v_size bigint;
    v_held bigint := 0;
    v_held_size bigint;
    v_sessions uuid[];
BEGIN
    PERFORM countersign.holds_stand_still(true);
    SELECT shelf INTO gone FROM countersign.erasures WHERE erasure_id = which AND outcome IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_sessions := ARRAY(SELECT countersign.held_sessions());
    IF gone = 0 THEN
        WITH deleted AS (
            DELETE FROM countersign.bodies_0 AS b
            WHERE NOT EXISTS (
                SELECT FROM countersign.events AS e WHERE e.index = b.index AND e.session_id = ANY (v_sessions))
            RETURNING b.size
        )
        SELECT count(*), coalesce(sum(size), 0) INTO v_bodies, v_size FROM deleted;
        SELECT count(*) INTO v_held FROM countersign.bodies WHERE shelf = 0;
        UPDATE countersign.holds SET swept = true WHERE released_at IS NOT NULL AND NOT swept;
    ELSE
        -- Nobody puts anything there any more; who tried would fail, and lose nothing.
        EXECUTE format('LOCK TABLE countersign.%I IN SHARE MODE', 'bodies_' || gone);
        WITH moved AS (
            INSERT INTO countersign.bodies (index, shelf, size, form, content)
            SELECT b.index, 0, b.size, b.form, b.content
            FROM countersign.events AS e JOIN countersign.bodies AS b ON b.shelf = gone AND b.index = e.index
            WHERE e.session_id = ANY (v_sessions) AND e.shelf = gone
            RETURNING size
        )
        SELECT count(*), coalesce(sum(size), 0) INTO v_held, v_held_size FROM moved;
        SELECT count(*) - v_held, coalesce(sum(size), 0) - v_held_size INTO v_bodies, v_size
        FROM countersign.bodies WHERE shelf = gone;
        -- All who read or write bodies wait from here on, and behind us if we must wait: so not for long.
        SET LOCAL lock_timeout = '500ms';
        -- Whoever makes shelves has this, too; whoever records may wait for them, so it is not held while we count.
        PERFORM pg_advisory_xact_lock(hashtextextended('countersign.shelves', 0));
        LOCK TABLE ONLY countersign.bodies, ONLY countersign.words IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('DROP TABLE countersign.%I, countersign.%I', 'bodies_' || gone, 'words_' || gone);
        UPDATE countersign.shelves SET erased_at = to_timestamp(now_us / 1000000.0) WHERE shelf = gone;
    END IF;
    UPDATE countersign.erasures
    SET outcome = 'erased', ended_us = now_us, bodies = v_bodies, size_bytes = v_size, held = v_held
    WHERE erasure_id = which;
END
$$;
