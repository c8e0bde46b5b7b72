-- What: a post's priority, and who acknowledged it; the row of the group commit with it. Why in posts: a list shows it, and a
-- column that is '' costs one byte and no look-up. Lock: posts for an instant, no rewrite. Time: milliseconds.
-- priority: '', or words: `important` or `urgent`, then `ack` where acknowledgements are asked for.
-- batch_post stays for workers of the release before.

ALTER TABLE posts ADD COLUMN priority text COLLATE "C" NOT NULL DEFAULT '';

CREATE TYPE batch_marked_post AS (
    id text COLLATE "C", at bigint, user_id text COLLATE "C", channel_id text COLLATE "C", root_id text COLLATE "C",
    message text, type text, props text, hashtags text, file_ids text, priority text COLLATE "C"
);

CREATE TABLE post_acknowledgements (
    post_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    acknowledged_at bigint NOT NULL,
    PRIMARY KEY (post_id, user_id)
);
CREATE INDEX post_acknowledgements_user ON post_acknowledgements (user_id);
