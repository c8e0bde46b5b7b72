-- What: the run-time configuration and the roles that were changed, and a number for each that says whether a process
-- has the newest. Why: both are kept whole in every process; only what differs from the defaults is stored. Lock: none
-- that matters (new tables). Time: milliseconds.

CREATE TABLE revisions (
    name text COLLATE "C" PRIMARY KEY,
    n bigint NOT NULL
);
INSERT INTO revisions (name, n) VALUES ('config', 0), ('roles', 0);

CREATE TABLE config (
    key text COLLATE "C" PRIMARY KEY,
    value jsonb NOT NULL
);

CREATE TABLE roles (
    name text COLLATE "C" PRIMARY KEY,
    permissions text[] NOT NULL,
    update_at bigint NOT NULL
);
