-- name: versions_of
-- Old versions of a post, newest first.
SELECT id, create_at, update_at, edit_at, delete_at, is_pinned, user_id, channel_id, root_id, original_id, message,
    type, props, hashtags, file_ids, has_reactions,
    priority, NULL::bigint AS reply_count, NULL::bigint AS last_reply_at, NULL::text[] AS participants
FROM posts WHERE original_id = $1 AND original_id <> '' ORDER BY edit_at DESC, update_at DESC, id DESC LIMIT $2;

-- name: version
SELECT id, create_at, update_at, edit_at, delete_at, is_pinned, user_id, channel_id, root_id, original_id, message,
    type, props, hashtags, file_ids, has_reactions,
    priority, NULL::bigint AS reply_count, NULL::bigint AS last_reply_at, NULL::text[] AS participants
FROM posts WHERE id = $1 AND original_id = $2 AND original_id <> '';

-- name: saved_posts
-- Posts that a user saved, in channels that he is a member of. $2 a team or '' ('' too: direct and group channels),
-- $3 a channel or ''.
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM preferences f
    JOIN posts p ON p.id = f.name AND p.delete_at = 0 AND p.original_id = ''
    JOIN channel_members m ON m.channel_id = p.channel_id AND m.user_id = $1
    JOIN channels c ON c.id = p.channel_id
    LEFT JOIN threads t ON t.root_id = p.id
WHERE f.user_id = $1 AND f.category = 'flagged_post' AND f.value = 'true'
    AND ($2::text = '' OR c.team_id IN ($2, '')) AND ($3::text = '' OR p.channel_id = $3)
ORDER BY p.create_at DESC, p.id DESC LIMIT $4 OFFSET $5;

-- name: put_reminder
-- $4: the most that one user may have.
INSERT INTO post_reminders (user_id, post_id, target_time)
SELECT u.id, p.id, $3 FROM posts p, users u
WHERE p.id = $2 AND u.id = $1 AND ((SELECT count(*) FROM post_reminders WHERE user_id = $1) < $4
    OR EXISTS (SELECT FROM post_reminders WHERE user_id = $1 AND post_id = $2))
FOR KEY SHARE OF p, u
ON CONFLICT (user_id, post_id) DO UPDATE SET target_time = excluded.target_time, claimed_until = 0
RETURNING target_time;

-- name: claim_reminders
-- $1 now (s), $2 now (ms), $3 until when they are this worker's (ms), $4 how many at most.
UPDATE post_reminders r SET claimed_until = $3 FROM (
    SELECT user_id, post_id FROM post_reminders WHERE target_time <= $1 AND claimed_until <= $2
    ORDER BY target_time LIMIT $4 FOR UPDATE SKIP LOCKED
) due
WHERE r.user_id = due.user_id AND r.post_id = due.post_id
RETURNING r.user_id, r.post_id, r.target_time;

-- name: delete_reminder
-- Unless it was set anew meanwhile.
DELETE FROM post_reminders WHERE user_id = $1 AND post_id = $2 AND target_time = $3;
