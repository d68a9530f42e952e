-- What principals used of targets, in buckets of time: derived from events, each of which is counted exactly once,
-- since the index up to which they are counted moves in the same transaction.

CREATE TABLE countersign.usage_counter (
    -- One row for ever: whoever holds its lock counts.
    one              boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The first event that is not counted.
    next_index       bigint  NOT NULL,
    -- Grows with each count that changed a bucket.
    change           bigint  NOT NULL,
    -- By the database's clock: all that was committed before it is counted.
    counted_until_us bigint  NOT NULL
) WITH (fillfactor = 10);

-- What was recorded before this version has no rows counted, and no rule could ask for it.
INSERT INTO countersign.usage_counter (next_index, change, counted_until_us)
SELECT next_index, 0, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM countersign.head;

CREATE TABLE countersign.usage_buckets (
    -- SHA-256 of the three SHA-256 of issuer, subject and target.
    key        bytea    NOT NULL,
    -- Whose buckets: 1 of the minute (2 s each), 2 of the hour (60 s), 3 of the day (1,800 s).
    tier       smallint NOT NULL,
    -- The start since the epoch, in widths.
    bucket     bigint   NOT NULL,
    calls      bigint   NOT NULL,
    row_count  bigint   NOT NULL,
    size_bytes bigint   NOT NULL,
    -- The change of the counter that set this last.
    change     bigint   NOT NULL,
    PRIMARY KEY (key, tier, bucket)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX usage_buckets_by_change ON countersign.usage_buckets (change);
CREATE INDEX usage_buckets_by_time ON countersign.usage_buckets (tier, bucket);

-- Counts at most so many events more. Returns how many are left then, or NULL when another recorder counts now.
-- connection_methods are patterns of LIKE for the methods that are no use of a target.
CREATE FUNCTION countersign.count_usage(at_most bigint, connection_methods text[]) RETURNS bigint LANGUAGE plpgsql
    -- With the true bounds of this time: a plan for any bounds could read the whole record.
    SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    -- A sender's clock is believed as far; authz and its view of usage believe theirs as far, too.
    trusted_us CONSTANT bigint := 5000000;
    most       CONSTANT bigint := 2305843009213693951;
    counter    countersign.usage_counter;
    head       bigint;
    stop       bigint;
    now_us     bigint := extract(epoch FROM clock_timestamp()) * 1000000;
    changed    bigint;
BEGIN
    -- Without the lock first: to take it is a write, and most of the time there is nothing to do.
    SELECT * INTO STRICT counter FROM countersign.usage_counter;
    SELECT next_index INTO STRICT head FROM countersign.head;
    IF counter.next_index >= head AND now_us - counter.counted_until_us < trusted_us THEN
        RETURN 0;
    END IF;
    SELECT * INTO counter FROM countersign.usage_counter FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- Before the head is read: what is committed later is at or behind the head.
    now_us := extract(epoch FROM clock_timestamp()) * 1000000;
    SELECT next_index INTO STRICT head FROM countersign.head;
    stop := least(head, counter.next_index + at_most);

    WITH added AS (
        SELECT
            one.session_id,
            moment.time_us / 2000000 AS finest,
            count(*) FILTER (WHERE one.kind = 1) AS calls,
            -- Canonical JSON without blanks, in which a bare quotation mark opens or closes a string: after a comma it
            -- can only open a key, and neither of these is the last. To parse it costs more, and fails at a NUL.
            sum(CASE WHEN one.kind = 1 THEN 0 ELSE coalesce(
                nullif(split_part(split_part(one.record, ',"row_count":', 2), ',', 1), '')::bigint, 0) END
            ) AS row_count,
            sum(CASE WHEN one.kind = 1 THEN 0 ELSE coalesce(
                nullif(split_part(split_part(one.record, ',"size_bytes":', 2), ',', 1), '')::bigint, 0) END
            ) AS size_bytes
        FROM countersign.events AS one
        CROSS JOIN LATERAL (
            -- It was recorded after all that is counted already, whatever the recorder's clock said.
            SELECT least(greatest((date_part('epoch', one.recorded_at) * 1000000)::bigint, counter.counted_until_us),
                now_us) AS time_us
        ) AS recorded
        CROSS JOIN LATERAL (
            SELECT CASE WHEN abs(one.time_us - recorded.time_us) <= trusted_us THEN one.time_us
                ELSE recorded.time_us END AS time_us
        ) AS moment
        WHERE one.index >= counter.next_index AND one.index < stop
            -- Answers (of a stream its events, not its end, which repeats their sizes) and calls that were allowed.
            AND (one.kind IN (2, 3)
                OR one.kind = 1 AND one.outcome = 1 AND NOT one.method LIKE ANY (connection_methods))
        GROUP BY one.session_id, finest
    ), attributed AS (
        SELECT
            (
                SELECT sha256(sha256(convert_to(s.issuer, 'UTF8')) || sha256(convert_to(s.subject, 'UTF8'))
                    || sha256(convert_to(s.target, 'UTF8')))
                FROM countersign.sessions AS s
                WHERE s.session_id = added.session_id AND s.subject <> ''
            ) AS key,
            finest, calls, row_count, size_bytes
        FROM added
    )
    INSERT INTO countersign.usage_buckets AS known (key, tier, bucket, calls, row_count, size_bytes, change)
    SELECT
        -- However much a sender claims, a total has an end and the counting none.
        key, tier, finest / finest_in, sum(calls), least(sum(row_count), most), least(sum(size_bytes), most),
        counter.change + 1
    FROM attributed
    CROSS JOIN (VALUES (1, 1), (2, 30), (3, 900)) AS tiers (tier, finest_in)
    WHERE key IS NOT NULL AND (calls > 0 OR row_count > 0 OR size_bytes > 0)
    GROUP BY key, tier, finest / finest_in
    ON CONFLICT (key, tier, bucket) DO UPDATE SET
        calls = known.calls + excluded.calls,
        row_count = least(known.row_count + excluded.row_count, most),
        size_bytes = least(known.size_bytes + excluded.size_bytes, most),
        change = excluded.change;
    GET DIAGNOSTICS changed = ROW_COUNT;

    UPDATE countersign.usage_counter SET
        next_index = stop,
        change = counter.change + least(changed, 1),
        counted_until_us = CASE WHEN stop = head THEN now_us ELSE counter.counted_until_us END;
    RETURN head - stop;
END
$$;

-- Deletes at most so many buckets that no window holds any more; returns how many.
CREATE FUNCTION countersign.prune_usage(at_most bigint) RETURNS bigint LANGUAGE plpgsql
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    -- Those who ask may be a little behind.
    until_us bigint := extract(epoch FROM clock_timestamp() - interval '10 minutes') * 1000000;
    deleted  bigint;
BEGIN
    -- One at a time, and not while somebody counts.
    PERFORM FROM countersign.usage_counter FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    DELETE FROM countersign.usage_buckets WHERE ctid = ANY (ARRAY(
        SELECT old.ctid
        FROM (VALUES (1, 2000000, 60000000), (2, 60000000, 3600000000), (3, 1800000000, 86400000000))
            AS tiers (tier, width_us, window_us)
        CROSS JOIN LATERAL (
            SELECT ctid FROM countersign.usage_buckets AS known
            WHERE known.tier = tiers.tier AND known.bucket < (until_us - tiers.window_us) / tiers.width_us
            LIMIT at_most
        ) AS old
        LIMIT at_most
    ));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
