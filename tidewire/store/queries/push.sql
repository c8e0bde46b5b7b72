-- Devices, and what decides who gets a push.

-- name: users_with_devices
-- Users who may get a push, $1 rows at most; a user may come more than once.
SELECT user_id FROM sessions WHERE device_id <> '' UNION ALL SELECT user_id FROM webpush_subscriptions LIMIT $1;

-- name: posts
-- Live posts of live channels, by people, with all that a push says of them. has_files: of a post without text that is
-- what it says.
SELECT p.id, p.channel_id, p.root_id, p.user_id, p.message, p.type, p.props, cardinality(p.file_ids) > 0 AS has_files,
    c.type AS channel_type, c.team_id, c.display_name, u.username, u.first_name, u.last_name, u.nickname,
    coalesce(r.user_id, '') AS root_user_id, coalesce(t.participants, '{}') AS participants
FROM posts p JOIN channels c ON c.id = p.channel_id AND c.delete_at = 0 JOIN users u ON u.id = p.user_id
LEFT JOIN posts r ON p.root_id <> '' AND r.id = p.root_id
LEFT JOIN threads t ON p.root_id <> '' AND t.root_id = p.root_id
WHERE p.id = ANY($1::text[]) AND p.delete_at = 0 AND p.original_id = '' AND p.type NOT LIKE 'system\_%';

-- name: every_push
-- Members who want every post of a channel pushed: by partial indexes, never through all members.
SELECT m.channel_id, m.user_id FROM channel_members m
WHERE m.channel_id = ANY($1::text[]) AND m.notify_props ->> 'push' = 'all'
UNION ALL
SELECT m.channel_id, m.user_id FROM users u JOIN channel_members m ON m.user_id = u.id AND m.channel_id = ANY($1::text[])
WHERE u.notify_props ->> 'push' = 'all' AND coalesce(m.notify_props ->> 'push', 'default') = 'default';

-- name: thread_followers
SELECT root_id, user_id FROM thread_members WHERE root_id = ANY($1::text[]) AND following;

-- name: devices
-- Sessions of users that a push can go to: a phone that its provider still knows, a browser's subscription.
SELECT s.id AS session_id, s.user_id,
    CASE WHEN s.props ->> 'last_removed_device_id' = s.device_id THEN '' ELSE s.device_id END AS device_id,
    w.endpoint, w.p256dh, w.auth
FROM sessions s LEFT JOIN webpush_subscriptions w ON w.session_id = s.id
WHERE s.user_id = ANY($1::text[]) AND s.expires_at > $2
    AND (s.device_id <> '' AND s.device_id IS DISTINCT FROM s.props ->> 'last_removed_device_id'
        OR w.endpoint IS NOT NULL);

-- name: recipients
-- Active users as members of channels; an empty channel: as users only. member: he is in the channel.
SELECT g.user_id, g.channel_id, u.username, u.first_name, u.last_name, u.nickname, u.is_bot, u.notify_props AS props,
    m.notify_props AS channel_props, m.user_id IS NOT NULL AS member, coalesce(n.value, '') AS name_format,
    coalesce(t.value, '') AS collapsed
FROM unnest($1::text[], $2::text[]) g(user_id, channel_id) JOIN users u ON u.id = g.user_id AND u.delete_at = 0
LEFT JOIN channel_members m ON m.channel_id = g.channel_id AND m.user_id = g.user_id
LEFT JOIN preferences n ON n.user_id = g.user_id AND n.category = 'display_settings' AND n.name = 'name_format'
LEFT JOIN preferences t ON t.user_id = g.user_id AND t.category = 'display_settings'
    AND t.name = 'collapsed_reply_threads';

-- name: groups
-- Members of group channels, who are its name.
SELECT m.channel_id, u.id AS user_id, u.username, u.first_name, u.last_name, u.nickname
FROM channel_members m JOIN users u ON u.id = m.user_id WHERE m.channel_id = ANY($1::text[]);

-- name: badges
-- The number on a user's apps: mentions in live channels, muted ones included. $2: who sees threads collapsed, for whom
-- replies count in the threads that they follow instead.
SELECT g.user_id, (SELECT coalesce(sum(CASE WHEN g.crt THEN m.mention_count_root ELSE m.mention_count END), 0)
        FROM channel_members m JOIN channels c ON c.id = m.channel_id AND c.delete_at = 0
        WHERE m.user_id = g.user_id AND m.mention_count > 0)
    + CASE WHEN g.crt THEN (SELECT coalesce(sum(f.unread_mentions), 0) FROM thread_members f
        JOIN threads t ON t.root_id = f.root_id AND t.delete_at = 0 AND t.reply_count > 0
        JOIN channel_members y ON y.channel_id = f.channel_id AND y.user_id = f.user_id
        WHERE f.user_id = g.user_id AND f.following AND f.unread_mentions > 0) ELSE 0 END AS badge
FROM unnest($1::text[], $2::bool[]) g(user_id, crt);

-- name: remove_devices
-- Devices that their provider does not know any more: the sessions stay, without a push. $2: until when (ms) it knew them
-- not; who logged in later has a new one.
UPDATE sessions s SET props = s.props || jsonb_build_object('last_removed_device_id', s.device_id)
FROM unnest($1::text[], $2::bigint[]) g(device_id, at)
WHERE s.device_id = g.device_id AND s.create_at < g.at
    AND s.props ->> 'last_removed_device_id' IS DISTINCT FROM s.device_id
RETURNING s.user_id, s.id, s.token_hash;

-- name: remove_subscriptions
DELETE FROM webpush_subscriptions w USING unnest($1::bytea[], $2::bigint[]) g(endpoint_hash, at)
WHERE w.endpoint_hash = g.endpoint_hash AND w.create_at < g.at;

-- name: expired_phones
-- Phones whose login ended lately and who were not told; skipped are those that another worker tells.
SELECT s.id, s.device_id FROM sessions s JOIN users u ON u.id = s.user_id AND u.delete_at = 0
WHERE s.expires_at <= $1 AND s.expires_at > $2 AND s.device_id <> '' AND NOT s.expired_notify
    AND s.props ->> 'last_removed_device_id' IS DISTINCT FROM s.device_id
ORDER BY s.id LIMIT $3 FOR NO KEY UPDATE OF s SKIP LOCKED;

-- name: note_expired
UPDATE sessions SET expired_notify = true WHERE id = ANY($1::text[]);

-- name: subscription_of
SELECT endpoint, create_at FROM webpush_subscriptions WHERE session_id = $1;

-- name: drop_others
-- What a new subscription replaces: the session's own, that of whoever used this browser before ($2), and the oldest of a
-- user who has too many ($4).
DELETE FROM webpush_subscriptions w WHERE w.session_id = $1 OR w.endpoint_hash = $2 OR w.session_id IN (
    SELECT o.session_id FROM webpush_subscriptions o WHERE o.user_id = $3 ORDER BY o.create_at DESC OFFSET $4);

-- name: subscribe
-- Only for a session that is still there.
INSERT INTO webpush_subscriptions (endpoint_hash, session_id, user_id, endpoint, p256dh, auth, create_at)
SELECT $2, s.id, s.user_id, $3, $4, $5, $6 FROM sessions s WHERE s.id = $1 FOR KEY SHARE RETURNING 1;

-- name: unsubscribe
DELETE FROM webpush_subscriptions WHERE session_id = $1;
