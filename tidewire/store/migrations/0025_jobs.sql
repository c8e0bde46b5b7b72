-- What: long work that administrators ask for, exports and imports. Why: it outlives requests, and may be done by any worker.
-- Lock: none on tables in use. Time: none.
CREATE TABLE jobs (
    id text COLLATE "C" PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL, -- who asked for it
    create_at bigint NOT NULL,
    start_at bigint NOT NULL DEFAULT 0,
    last_activity_at bigint NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending',
    progress integer NOT NULL DEFAULT 0, -- percent
    data jsonb NOT NULL DEFAULT '{}' -- names and values, all texts
);
CREATE INDEX jobs_create ON jobs (create_at);
CREATE INDEX jobs_open ON jobs (create_at) WHERE status IN ('pending', 'in_progress', 'cancel_requested');
