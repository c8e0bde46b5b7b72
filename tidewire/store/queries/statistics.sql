-- name: people
-- $1: a team, or '' for the whole installation; $2, $3: since when (ms) one counts as active by day and month.
SELECT count(*) FILTER (WHERE u.delete_at = 0) AS users,
    count(*) FILTER (WHERE u.delete_at > 0) AS inactive,
    count(*) FILTER (WHERE s.last_activity_at > $2) AS daily,
    count(*) FILTER (WHERE s.last_activity_at > $3) AS monthly
FROM users u LEFT JOIN statuses s ON s.user_id = u.id
WHERE $1::text = '' OR u.id IN (SELECT user_id FROM team_members WHERE team_id = $1 AND delete_at = 0);

-- name: places
SELECT (SELECT count(*) FROM teams WHERE delete_at = 0) AS teams,
    (SELECT count(*) FROM sessions WHERE expires_at > $2) AS sessions,
    count(*) FILTER (WHERE type = 'O') AS open_channels, count(*) FILTER (WHERE type = 'P') AS private_channels
FROM channels WHERE delete_at = 0 AND type IN ('O', 'P') AND ($1::text = '' OR team_id = $1);

-- name: posts
-- Counts every post: for installations of a size that analytics are wanted for.
SELECT count(*) FROM posts p
WHERE p.delete_at = 0 AND ($1::text = '' OR p.channel_id IN (SELECT id FROM channels WHERE team_id = $1));

-- name: post_estimate
-- What the last ANALYZE saw: a round number is all that is told.
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'posts'::regclass;

-- name: posts_by_day
-- $3: of bots only.
SELECT to_char(to_timestamp(p.create_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*) AS posts,
    count(DISTINCT p.user_id) AS users
FROM posts p
WHERE p.create_at > $2 AND p.delete_at = 0
    AND ($1::text = '' OR p.channel_id IN (SELECT id FROM channels WHERE team_id = $1))
    AND (NOT $3 OR p.user_id IN (SELECT id FROM users WHERE is_bot))
GROUP BY 1 ORDER BY 1 DESC LIMIT 31;

-- name: posts_with
-- Counts every post, as posts does.
SELECT count(*) FILTER (WHERE p.file_ids <> '{}') AS files, count(*) FILTER (WHERE p.hashtags <> '') AS hashtags
FROM posts p
WHERE p.delete_at = 0 AND (p.file_ids <> '{}' OR p.hashtags <> '')
    AND ($1::text = '' OR p.channel_id IN (SELECT id FROM channels WHERE team_id = $1));

-- name: integrations
SELECT (SELECT count(*) FROM incoming_webhooks WHERE delete_at = 0 AND ($1::text = '' OR team_id = $1)) AS incoming,
    (SELECT count(*) FROM outgoing_webhooks WHERE delete_at = 0 AND ($1::text = '' OR team_id = $1)) AS outgoing,
    (SELECT count(*) FROM commands WHERE delete_at = 0 AND ($1::text = '' OR team_id = $1)) AS commands;

-- name: storage
SELECT coalesce(sum(size), 0)::bigint FROM files WHERE delete_at = 0;
