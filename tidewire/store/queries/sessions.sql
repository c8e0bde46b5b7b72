-- name: insert_session
INSERT INTO sessions (id, token_hash, user_id, create_at, expires_at, last_activity_at, device_id, roles, props)
VALUES ($1, $2, $3, $4, $5, $4, $6, $7, $8);

-- name: delete_expired
DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2;

-- name: session_by_hash
-- The roles are the user's present ones; sessions.roles is what he had at login. Nobody deactivated gets in.
SELECT s.id, s.user_id, s.create_at, s.expires_at, s.last_activity_at, s.device_id, u.roles, s.is_oauth, s.props
FROM sessions s JOIN users u ON u.id = s.user_id AND u.delete_at = 0
WHERE s.token_hash = $1;

-- name: sessions_of
SELECT s.id, s.user_id, s.create_at, s.expires_at, s.last_activity_at, s.device_id, s.roles, s.is_oauth, s.props
FROM sessions s WHERE s.user_id = $1 AND s.expires_at > $2 ORDER BY s.last_activity_at DESC, s.id;

-- name: delete_session
DELETE FROM sessions WHERE user_id = $1 AND id = $2 RETURNING id, token_hash;

-- name: delete_sessions
DELETE FROM sessions WHERE user_id = $1 RETURNING id, token_hash;
