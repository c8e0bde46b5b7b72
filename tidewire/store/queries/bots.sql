-- name: insert_bot
INSERT INTO bots (user_id, owner_id, create_at, update_at) VALUES ($1, $2, $3, $3);

-- name: bot
-- $2: deactivated ones too.
SELECT u.id AS user_id, u.username, u.first_name AS display_name, u.bot_description AS description, b.owner_id,
    u.bot_last_icon_update AS last_icon_update, b.create_at, b.update_at, b.delete_at
FROM bots b JOIN users u ON u.id = b.user_id
WHERE b.user_id = $1 AND ($2::bool OR b.delete_at = 0);

-- name: page_of_bots
-- $1 owner or '' for all, $2 deactivated ones too, $3 only those whose owner is deactivated.
SELECT u.id AS user_id, u.username, u.first_name AS display_name, u.bot_description AS description, b.owner_id,
    u.bot_last_icon_update AS last_icon_update, b.create_at, b.update_at, b.delete_at
FROM bots b JOIN users u ON u.id = b.user_id LEFT JOIN users o ON o.id = b.owner_id
WHERE ($1::text = '' OR b.owner_id = $1) AND ($2::bool OR b.delete_at = 0)
    AND (NOT $3::bool OR o.delete_at > 0)
ORDER BY b.create_at, b.user_id LIMIT $4 OFFSET $5;

-- name: touch_bot
UPDATE bots SET owner_id = $2, update_at = $3, delete_at = $4 WHERE user_id = $1;

-- name: update_bot_user
UPDATE users SET username = $2, email = $3, first_name = $4, bot_description = $5, delete_at = $6, update_at = $7
WHERE id = $1;

-- name: lock_live_bots_of
-- The user rows of an owner's live bots, in id order as everybody locks several of them.
SELECT u.id FROM users u JOIN bots b ON b.user_id = u.id
WHERE b.owner_id = $1 AND b.delete_at = 0 AND u.id <> $1 ORDER BY u.id FOR NO KEY UPDATE OF u;

-- name: disable_bots
WITH bot AS (UPDATE bots SET delete_at = $2, update_at = $2 WHERE user_id = ANY($1::text[]) AND delete_at = 0)
UPDATE users SET delete_at = $2, update_at = greatest(update_at + 1, $2) WHERE id = ANY($1::text[]) AND delete_at = 0;
