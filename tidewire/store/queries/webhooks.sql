-- part: incoming
id, create_at, update_at, delete_at, user_id, channel_id, team_id, display_name, description, username, icon_url,
    channel_locked

-- part: outgoing
id, token, create_at, update_at, delete_at, creator_id, channel_id, team_id, trigger_words, trigger_when, callback_urls,
    display_name, description, content_type, username, icon_url

-- name: insert_incoming
INSERT INTO incoming_webhooks ({incoming}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: incoming_by_id
SELECT {incoming} FROM incoming_webhooks WHERE id = $1 AND delete_at = 0;

-- name: lock_incoming
SELECT {incoming} FROM incoming_webhooks WHERE id = $1 AND delete_at = 0 FOR NO KEY UPDATE;

-- name: page_of_incoming
-- $1 a team or '', $2 an owner or ''.
SELECT {incoming} FROM incoming_webhooks
WHERE delete_at = 0 AND ($1::text = '' OR team_id = $1) AND ($2::text = '' OR user_id = $2)
ORDER BY create_at, id LIMIT $3 OFFSET $4;

-- name: count_incoming
SELECT count(*) FROM incoming_webhooks
WHERE delete_at = 0 AND ($1::text = '' OR team_id = $1) AND ($2::text = '' OR user_id = $2);

-- name: update_incoming
UPDATE incoming_webhooks SET update_at = $2, delete_at = $3, channel_id = $4, display_name = $5, description = $6,
    username = $7, icon_url = $8, channel_locked = $9
WHERE id = $1;

-- name: insert_outgoing
INSERT INTO outgoing_webhooks ({outgoing})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16);

-- name: outgoing_by_id
SELECT {outgoing} FROM outgoing_webhooks WHERE id = $1 AND delete_at = 0;

-- name: lock_outgoing
SELECT {outgoing} FROM outgoing_webhooks WHERE id = $1 AND delete_at = 0 FOR NO KEY UPDATE;

-- name: page_of_outgoing
-- $1 a team or '', $2 a channel or '', $3 an owner or ''.
SELECT {outgoing} FROM outgoing_webhooks
WHERE delete_at = 0 AND ($1::text = '' OR team_id = $1) AND ($2::text = '' OR channel_id = $2)
    AND ($3::text = '' OR creator_id = $3)
ORDER BY create_at, id LIMIT $4 OFFSET $5;

-- name: update_outgoing
UPDATE outgoing_webhooks SET update_at = $2, delete_at = $3, token = $4, channel_id = $5, trigger_words = $6,
    trigger_when = $7, callback_urls = $8, display_name = $9, description = $10, content_type = $11, username = $12,
    icon_url = $13
WHERE id = $1;
