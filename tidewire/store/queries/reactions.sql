-- name: of_posts
SELECT post_id, user_id, emoji_name, channel_id, create_at FROM reactions WHERE post_id = ANY($1::text[])
ORDER BY create_at, user_id, emoji_name;

-- name: emoji_names
SELECT DISTINCT emoji_name FROM reactions WHERE post_id = $1;

-- name: add
-- Of who is active: a deletion of his account ends that first, and then looks for what he left.
INSERT INTO reactions (post_id, user_id, emoji_name, channel_id, create_at)
SELECT $1, id, $3, $4, $5 FROM users WHERE id = $2 AND delete_at = 0 FOR KEY SHARE
ON CONFLICT DO NOTHING RETURNING create_at;

-- name: find
SELECT create_at FROM reactions WHERE post_id = $1 AND user_id = $2 AND emoji_name = $3;

-- name: remove
DELETE FROM reactions WHERE post_id = $1 AND user_id = $2 AND emoji_name = $3 RETURNING create_at;

-- name: touch_post
-- The post's row is locked by the caller.
UPDATE posts SET update_at = greatest(update_at + 1, $2),
    has_reactions = EXISTS (SELECT 1 FROM reactions WHERE post_id = $1)
WHERE id = $1 RETURNING update_at;
