-- Uploads in several requests. What has come is in objects, named in order by `keys`.

-- name: insert
INSERT INTO upload_sessions (id, type, create_at, user_id, channel_id, filename, file_size)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: find
SELECT id, type, create_at, user_id, channel_id, filename, file_size, file_offset, keys FROM upload_sessions WHERE id = $1;

-- name: of_user
SELECT id, type, create_at, user_id, channel_id, filename, file_size, file_offset, keys FROM upload_sessions
WHERE user_id = $1 ORDER BY create_at, id;

-- name: count_of_user
SELECT count(*) FROM upload_sessions WHERE user_id = $1;

-- name: append
-- Only where the last one who appended left it.
UPDATE upload_sessions SET keys = keys || $3::text, file_offset = file_offset + $4 WHERE id = $1 AND file_offset = $2 RETURNING id;

-- name: delete
DELETE FROM upload_sessions WHERE id = $1 AND file_offset = $2 RETURNING id;

-- name: expire
DELETE FROM upload_sessions WHERE id IN (
    SELECT id FROM upload_sessions WHERE create_at < $1 ORDER BY create_at LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING keys;
