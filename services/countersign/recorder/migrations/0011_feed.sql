-- How far each sink has taken the record, and which run feeds it.

CREATE TABLE countersign.sinks (
    name        text        PRIMARY KEY,
    -- Its kind and where it leads, as its last run said; never a credential.
    description text        NOT NULL,
    -- The first index that it has not taken.
    next_index  bigint      NOT NULL CHECK (next_index >= 0),
    moved_at    timestamptz NOT NULL,
    -- The recorded session of the run that has it; nobody else gets it until then, by the database's clock.
    run         uuid        UNIQUE,
    lent_until  timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION countersign.refuse_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.next_index < OLD.next_index THEN
        RAISE EXCEPTION 'the cursor of a sink never goes back' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER cursors_never_go_back
    BEFORE UPDATE ON countersign.sinks
    FOR EACH ROW EXECUTE FUNCTION countersign.refuse_going_back();
