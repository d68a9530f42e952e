-- One group of events in one statement, for the common case that none of them is known: one round trip, and the head's
-- lock is held for as long as the statement takes. The caller works out what is relative (see plan.py): an event's
-- "index" counts from the group's first, "sequence" from the session's first event of the group.
-- Returns false, and does nothing, when an event is known: then it is for the slower way to say which, and whether it
-- says the same.
CREATE FUNCTION countersign.append(group_of_events json) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    base bigint;
BEGIN
    -- Alone first: under READ COMMITTED each later statement sees what was committed before this lock was had.
    SELECT next_index INTO STRICT base FROM countersign.head FOR UPDATE;
    IF EXISTS (
        SELECT FROM countersign.events AS e
        JOIN json_array_elements(group_of_events -> 'events') AS given ON e.event_id = (given ->> 'event_id')::uuid
    ) THEN
        RETURN false;
    END IF;
    INSERT INTO countersign.sessions AS s (
        session_id, first_index, issuer, subject, groups, kind, token_id, target, first_time_us, last_time_us,
        event_count, allowed_count, denied_count, refused_count, finding_count)
    SELECT
        session_id, base + first_index, issuer, subject, groups, kind, token_id, target, first_time_us, last_time_us,
        event_count, allowed_count, denied_count, refused_count, finding_count
    FROM json_populate_recordset(NULL::countersign.sessions, group_of_events -> 'sessions')
    ON CONFLICT (session_id) DO UPDATE SET
        -- A session may begin with an answer, which does not say whose it is.
        issuer = CASE WHEN s.subject = '' THEN excluded.issuer ELSE s.issuer END,
        groups = CASE WHEN s.subject = '' THEN excluded.groups ELSE s.groups END,
        kind = CASE WHEN s.subject = '' THEN excluded.kind ELSE s.kind END,
        token_id = CASE WHEN s.subject = '' THEN excluded.token_id ELSE s.token_id END,
        subject = CASE WHEN s.subject = '' THEN excluded.subject ELSE s.subject END,
        first_time_us = least(s.first_time_us, excluded.first_time_us),
        last_time_us = greatest(s.last_time_us, excluded.last_time_us),
        event_count = s.event_count + excluded.event_count,
        allowed_count = s.allowed_count + excluded.allowed_count,
        denied_count = s.denied_count + excluded.denied_count,
        refused_count = s.refused_count + excluded.refused_count,
        finding_count = s.finding_count + excluded.finding_count;
    INSERT INTO countersign.events (
        index, event_id, session_id, sequence, call_id, kind, time_us, recorded_at, outcome, status, target, method,
        name, rules, record, body_type, body)
    SELECT
        base + given.index, given.event_id, given.session_id,
        -- The session's row counts this group already: its first event of the group came after all others.
        s.event_count - change.event_count + given.sequence,
        given.call_id, given.kind, given.time_us, given.recorded_at, given.outcome, given.status, given.target,
        given.method, given.name, given.rules, given.record, given.body_type, given.body
    FROM json_populate_recordset(NULL::countersign.events, group_of_events -> 'events') AS given
    JOIN countersign.sessions AS s USING (session_id)
    JOIN json_populate_recordset(NULL::countersign.sessions, group_of_events -> 'sessions') AS change
        USING (session_id)
    ORDER BY given.index;
    UPDATE countersign.head SET next_index = base + json_array_length(group_of_events -> 'events');
    RETURN true;
END
$$;
