-- What: what users have begun to write, one draft for each channel and thread. Why: their devices share it.
-- Lock: none on tables in use. Time: none.
CREATE TABLE drafts (
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    root_id text COLLATE "C" NOT NULL DEFAULT '',
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    message text NOT NULL,
    type text NOT NULL DEFAULT '',
    props jsonb NOT NULL DEFAULT '{}',
    file_ids text[] NOT NULL DEFAULT '{}',
    priority jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (user_id, channel_id, root_id)
);
