-- What: one-time tokens, personal access tokens, bots, audits, terms of service; of users: second factor and bot marks.
-- Why: recovery of accounts, programs that log in without a password, and who did what. Lock: new columns with constant
-- defaults rewrite nothing; ACCESS EXCLUSIVE on users and sessions for milliseconds. Time: milliseconds.
-- Tokens are kept as SHA-256 only.

CREATE TABLE one_time_tokens (
    token_hash bytea PRIMARY KEY,
    kind text NOT NULL,
    user_id text COLLATE "C" NOT NULL DEFAULT '',
    email text COLLATE "C" NOT NULL DEFAULT '',
    expires_at bigint NOT NULL,
    extra jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX one_time_tokens_user_id ON one_time_tokens (user_id);
CREATE INDEX one_time_tokens_expires_at ON one_time_tokens (expires_at);

CREATE TABLE user_access_tokens (
    id text COLLATE "C" PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    user_id text COLLATE "C" NOT NULL,
    description text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    create_at bigint NOT NULL,
    csrf text NOT NULL
);
CREATE INDEX user_access_tokens_user_id ON user_access_tokens (user_id);

CREATE TABLE bots (
    user_id text COLLATE "C" PRIMARY KEY,
    owner_id text COLLATE "C" NOT NULL,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX bots_owner_id ON bots (owner_id);

ALTER TABLE users
    ADD COLUMN is_bot boolean NOT NULL DEFAULT false,
    ADD COLUMN bot_description text NOT NULL DEFAULT '',
    ADD COLUMN bot_last_icon_update bigint NOT NULL DEFAULT 0,
    ADD COLUMN mfa_secret text NOT NULL DEFAULT '',
    ADD COLUMN mfa_last_step bigint NOT NULL DEFAULT 0,
    ADD COLUMN terms_of_service_id text NOT NULL DEFAULT '',
    ADD COLUMN terms_of_service_create_at bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN users.mfa_last_step IS 'the last accepted code''s 30 s step since 1970: neither it nor an older one is taken again';

CREATE INDEX sessions_device_id ON sessions (device_id) WHERE device_id <> '';

CREATE TABLE audits (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    action text NOT NULL,
    extra_info text NOT NULL DEFAULT '',
    ip_address text NOT NULL DEFAULT '',
    session_id text NOT NULL DEFAULT ''
);
CREATE INDEX audits_user_id ON audits (user_id, create_at);
CREATE INDEX audits_create_at ON audits (create_at);

CREATE TABLE terms_of_service (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    text text NOT NULL
);
CREATE INDEX terms_of_service_create_at ON terms_of_service (create_at);
