-- name: of_posts
SELECT user_id, post_id, acknowledged_at, channel_id FROM post_acknowledgements WHERE post_id = ANY($1::text[])
ORDER BY acknowledged_at, user_id;

-- name: add
INSERT INTO post_acknowledgements (user_id, post_id, acknowledged_at, channel_id)
SELECT id, $2, $3, $4 FROM users WHERE id = $1 FOR KEY SHARE
ON CONFLICT DO NOTHING RETURNING acknowledged_at;

-- name: find
SELECT user_id, post_id, acknowledged_at, channel_id FROM post_acknowledgements WHERE post_id = $1 AND user_id = $2;

-- name: remove
DELETE FROM post_acknowledgements WHERE post_id = $1 AND user_id = $2;

-- name: touch_post
-- The post's row is locked by the caller.
UPDATE posts SET update_at = greatest(update_at + 1, $2) WHERE id = $1;
