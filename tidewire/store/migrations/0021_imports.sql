-- What: how far imports of files are, and which channels they touched. Why: an import that was cut off goes on where it was:
-- each of its transactions moves this on. Lock: none on tables in use. Time: none.

CREATE TABLE imports (
    digest bytea PRIMARY KEY, -- SHA-256 of the file
    name text NOT NULL,
    started_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    finished_at bigint NOT NULL DEFAULT 0,
    line bigint NOT NULL DEFAULT 0, -- the last one that is done
    at_byte bigint NOT NULL DEFAULT 0, -- where the next one begins
    report jsonb NOT NULL DEFAULT '{}'
);

-- Read states of these are counted when all posts are in.
CREATE TABLE import_channels (
    digest bytea NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    counted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (digest, channel_id)
);
