-- What: who follows which thread, and what waits for him there; when a thread was deleted; who has mention settings.
-- Why: mentions and unread counts of collapsed threads. Lock: threads for milliseconds (a column with a constant), users
-- against writes while its index is built (1 s per million). Time: the back-fill takes some 10 s per million participants.
-- Counters carry no index, so that their updates stay HOT; channel_id never changes.

CREATE TABLE thread_members (
    root_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    following boolean NOT NULL DEFAULT true,
    followed_at bigint NOT NULL DEFAULT 0,
    last_viewed_at bigint NOT NULL DEFAULT 0,
    unread_mentions bigint NOT NULL DEFAULT 0,
    last_update_at bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (root_id, user_id)
) WITH (fillfactor = 75);
CREATE INDEX thread_members_user ON thread_members (user_id, channel_id);

ALTER TABLE threads ADD COLUMN delete_at bigint NOT NULL DEFAULT 0;

INSERT INTO thread_members (root_id, user_id, channel_id, followed_at, last_viewed_at, last_update_at)
SELECT t.root_id, u.id, t.channel_id, t.last_reply_at, t.last_reply_at, t.last_reply_at
FROM threads t, unnest(t.participants) u(id)
WHERE EXISTS (SELECT FROM channel_members m WHERE m.channel_id = t.channel_id AND m.user_id = u.id);

-- Members of large channels whose words name them, or who follow every thread: few, found without reading every member.
CREATE INDEX users_with_keywords ON users (id)
WHERE notify_props ->> 'mention_keys' <> '' OR notify_props ->> 'first_name' = 'true';
CREATE INDEX channel_members_follow_all ON channel_members (channel_id)
WHERE notify_props ->> 'channel_auto_follow_threads' = 'on';
