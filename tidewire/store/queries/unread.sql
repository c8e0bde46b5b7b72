-- What waits for a user, counted from the posts or summed up over his channels.

-- name: count_after
-- Live posts of a channel from a time on (ms): all and roots; by others: what a direct or group channel mentions. With the
-- channel's totals of the same moment. $3: types that do not count. $4: the reader.
SELECT (SELECT total_msg_count FROM channels WHERE id = $1) AS total,
    (SELECT total_msg_count_root FROM channels WHERE id = $1) AS total_roots,
    count(*) FILTER (WHERE type <> ALL($3::text[])) AS posts,
    count(*) FILTER (WHERE type <> ALL($3::text[]) AND root_id = '') AS roots,
    count(*) FILTER (WHERE user_id <> $4 AND type NOT LIKE 'system\_%') AS by_others,
    count(*) FILTER (WHERE user_id <> $4 AND type NOT LIKE 'system\_%' AND root_id = '') AS roots_by_others,
    count(*) FILTER (WHERE user_id <> $4 AND root_id = '' AND priority LIKE 'urgent%') AS urgent_by_others
FROM posts WHERE channel_id = $1 AND create_at >= $2 AND delete_at = 0 AND original_id = '';

-- name: count_replies_by_others
SELECT count(*) FROM posts WHERE root_id = $1 AND root_id <> '' AND create_at > $2 AND delete_at = 0 AND original_id = ''
    AND user_id <> $3;

-- name: naming_posts
-- Posts of a channel behind (create_at, id) that may name $4: with an @, or any if $5; who was added is in the props.
SELECT id, create_at, user_id, root_id, type, message, props, priority FROM posts
WHERE channel_id = $1 AND (create_at, id) > ($2, $3) AND delete_at = 0 AND original_id = ''
    AND (user_id <> $4 OR props ->> 'from_webhook' = 'true')
    AND ($5 OR strpos(message, '@') > 0 OR props <> '{}')
ORDER BY create_at, id LIMIT $6;

-- name: naming_replies
-- The same for a thread.
SELECT id, create_at, user_id, root_id, type, message, props, priority FROM posts
WHERE root_id = $1 AND root_id <> '' AND (create_at, id) > ($2, $3) AND delete_at = 0 AND original_id = ''
    AND (user_id <> $4 OR props ->> 'from_webhook' = 'true')
    AND ($5 OR strpos(message, '@') > 0 OR props <> '{}')
ORDER BY create_at, id LIMIT $6;

-- name: lock_member
SELECT 1 FROM channel_members WHERE channel_id = $1 AND user_id = $2 FOR NO KEY UPDATE;

-- name: set_unread
-- Returns the columns of ChannelUnreadAt. $3, $4: what was read; the channel may have more posts by now.
UPDATE channel_members m SET msg_count = $3, msg_count_root = $4, mention_count = $5, mention_count_root = $6,
    urgent_mention_count = $7, last_viewed_at = $8, last_update_at = $9
FROM channels c WHERE c.id = m.channel_id AND m.channel_id = $1 AND m.user_id = $2
RETURNING c.team_id, m.user_id, m.channel_id, m.msg_count, m.mention_count, m.mention_count_root,
    m.urgent_mention_count, m.msg_count_root, m.last_viewed_at;

-- name: badge
-- Mentions in live channels, muted ones included, replies in their threads.
SELECT (SELECT coalesce(sum(m.mention_count_root), 0) FROM channel_members m
        JOIN channels c ON c.id = m.channel_id AND c.delete_at = 0 WHERE m.user_id = $1)
    + (SELECT coalesce(sum(m.unread_mentions), 0) FROM thread_members m
        JOIN threads t ON t.root_id = m.root_id AND t.delete_at = 0 AND t.reply_count > 0
        JOIN channel_members y ON y.channel_id = m.channel_id AND y.user_id = m.user_id
        WHERE m.user_id = $1 AND m.following);
