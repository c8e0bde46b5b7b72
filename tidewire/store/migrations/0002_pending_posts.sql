-- What: which post a client's pending_post_id became. Why: a repeat within 30 s must return the first post, at whatever
-- worker it arrives, after any crash and without Redis. Lock: none that matters (new table). Time: milliseconds.
-- Rows older than that are pruned by the workers; at 3,000 posts/s there are some 100,000.

CREATE TABLE pending_posts (
    user_id text COLLATE "C" NOT NULL,
    pending_post_id text COLLATE "C" NOT NULL,
    post_id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (user_id, pending_post_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
