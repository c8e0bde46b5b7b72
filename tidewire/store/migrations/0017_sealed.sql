-- What: an index of second factors that lie open; e-mail that waits. Why: the former are sealed at the next start, which
-- asks for them each time; the latter was lost with the process that had it. Lock: SHARE on users while the index is made,
-- a second per million. In "sealed" is the whole message, encrypted: it may hold a token.
CREATE INDEX users_open_mfa ON users (id) WHERE mfa_secret <> '' AND mfa_secret NOT LIKE 'v1:%';

CREATE TABLE mails (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    created_at bigint NOT NULL,
    next_at bigint NOT NULL, -- when it may be tried, ms; whoever tries puts it off first
    attempts integer NOT NULL DEFAULT 0,
    sealed bytea NOT NULL
);
CREATE INDEX mails_next_at ON mails (next_at);
