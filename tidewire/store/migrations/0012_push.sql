-- What: Web Push subscriptions of browsers; whether an expired phone was told so; who wants a push for every post.
-- Why: pushes. A session's subscription ends with it, by whatever way that ends.
-- Lock: sessions for milliseconds (a column with a constant); users and channel_members against writes while their
-- indexes are built, 1 s per million rows.

CREATE TABLE webpush_subscriptions (
    endpoint_hash bytea PRIMARY KEY, -- SHA-256: an endpoint can be too long for an index
    session_id text COLLATE "C" NOT NULL UNIQUE REFERENCES sessions (id) ON DELETE CASCADE,
    user_id text COLLATE "C" NOT NULL,
    endpoint text NOT NULL,
    p256dh text NOT NULL,
    auth text NOT NULL,
    create_at bigint NOT NULL
);
CREATE INDEX webpush_subscriptions_user ON webpush_subscriptions (user_id);

ALTER TABLE sessions ADD COLUMN expired_notify boolean NOT NULL DEFAULT false;

CREATE INDEX users_push_all ON users (id) WHERE notify_props ->> 'push' = 'all';
CREATE INDEX channel_members_push_all ON channel_members (channel_id) WHERE notify_props ->> 'push' = 'all';
