-- Who is signed in, what programs may have tokens for them, and devices that wait to be let in. No code, token or
-- cookie is here: these are sealed, and name rows. Times are microseconds since the epoch.

CREATE TABLE countersign_portal.sign_ins (
    sign_in_id text   COLLATE "C" PRIMARY KEY,
    -- Who, as JSON: issuer, subject, groups, the sign-in's id there, how they proved it.
    person     text   NOT NULL,
    until_us   bigint NOT NULL,
    ended      boolean NOT NULL DEFAULT false
);

CREATE INDEX sign_ins_past ON countersign_portal.sign_ins (until_us);

CREATE TABLE countersign_portal.grants (
    grant_id     text   COLLATE "C" PRIMARY KEY,
    sign_in_id   text   COLLATE "C" NOT NULL REFERENCES countersign_portal.sign_ins ON DELETE CASCADE,
    client_id    text   NOT NULL,
    resource     text   NOT NULL,
    redirect_uri text   NOT NULL,
    -- Of the verifier that redeems the code (RFC 7636); empty where there is no code.
    challenge    text   NOT NULL,
    code_until_us bigint NOT NULL,
    redeemed     boolean NOT NULL DEFAULT false,
    -- The number of the one refresh token that is good.
    refreshes    bigint NOT NULL DEFAULT 0,
    ended        boolean NOT NULL DEFAULT false
);

CREATE INDEX grants_of_sign_in ON countersign_portal.grants (sign_in_id);

CREATE TABLE countersign_portal.devices (
    device_id  text   COLLATE "C" PRIMARY KEY,
    -- Keyed: user codes are short enough to be guessed from a plain digest.
    user_code  bytea  NOT NULL UNIQUE,
    client_id  text   NOT NULL,
    resource   text   NOT NULL,
    asked_us   bigint NOT NULL,
    until_us   bigint NOT NULL,
    polled_us  bigint NOT NULL DEFAULT 0,
    interval_s integer NOT NULL,
    -- asked, agreed, denied, taken.
    state      text   NOT NULL DEFAULT 'asked',
    sign_in_id text   COLLATE "C" REFERENCES countersign_portal.sign_ins ON DELETE CASCADE
);

CREATE INDEX devices_past ON countersign_portal.devices (until_us);
