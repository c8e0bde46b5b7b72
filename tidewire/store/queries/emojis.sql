-- name: insert
INSERT INTO emojis (id, create_at, update_at, creator_id, name) VALUES ($1, $2, $2, $3, $4)
ON CONFLICT (name) WHERE delete_at = 0 DO NOTHING RETURNING id;

-- name: insert_image
INSERT INTO emoji_images (emoji_id, media_type, data) VALUES ($1, $2, $3);

-- name: by_id
SELECT id, create_at, update_at, delete_at, creator_id, name FROM emojis WHERE id = $1 AND delete_at = 0;

-- name: by_names
SELECT id, create_at, update_at, delete_at, creator_id, name FROM emojis WHERE name = ANY($1::text[]) AND delete_at = 0
ORDER BY name;

-- name: count_changes
-- Rows stay: each counts when it comes, and once more when it is deleted.
SELECT count(*) + count(*) FILTER (WHERE delete_at > 0) FROM emojis;

-- name: page
SELECT id, create_at, update_at, delete_at, creator_id, name FROM emojis WHERE delete_at = 0
ORDER BY CASE WHEN $3 THEN name ELSE id END LIMIT $1 OFFSET $2;

-- name: search
-- $1: a pattern of LIKE.
SELECT id, create_at, update_at, delete_at, creator_id, name FROM emojis WHERE name LIKE $1 AND delete_at = 0
ORDER BY name LIMIT $2;

-- name: image
SELECT i.media_type, i.data FROM emoji_images i JOIN emojis e ON e.id = i.emoji_id WHERE e.id = $1 AND e.delete_at = 0;

-- name: delete
UPDATE emojis SET delete_at = $2, update_at = $2 WHERE id = $1 AND delete_at = 0 RETURNING id;

-- name: delete_image
DELETE FROM emoji_images WHERE emoji_id = $1;
