-- name: insert_access_token
INSERT INTO user_access_tokens (id, token_hash, user_id, description, create_at, csrf) VALUES ($1, $2, $3, $4, $5, $6);

-- name: access_token
SELECT id, user_id, description, is_active FROM user_access_tokens WHERE id = $1;

-- name: access_tokens_of
SELECT id, user_id, description, is_active FROM user_access_tokens WHERE user_id = $1
ORDER BY create_at DESC, id LIMIT $2 OFFSET $3;

-- name: page_of_access_tokens
SELECT id, user_id, description, is_active FROM user_access_tokens ORDER BY id LIMIT $1 OFFSET $2;

-- name: search_access_tokens
-- $1 a LIKE pattern; for an admin's eyes, so a scan of what there is.
SELECT t.id, t.user_id, t.description, t.is_active
FROM user_access_tokens t JOIN users u ON u.id = t.user_id
WHERE t.id LIKE $1 OR t.user_id LIKE $1 OR u.username LIKE $1
ORDER BY t.id LIMIT $2;

-- name: set_access_token_active
-- No row if it is so already: nothing to tell then.
UPDATE user_access_tokens SET is_active = $2 WHERE id = $1 AND is_active <> $2 RETURNING id, token_hash;

-- name: delete_access_token
DELETE FROM user_access_tokens WHERE id = $1 RETURNING id, token_hash;
