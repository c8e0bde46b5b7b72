-- name: insert_session
INSERT INTO sessions (id, token_hash, user_id, create_at, expires_at, last_activity_at, device_id, roles, props, is_oauth)
VALUES ($1, $2, $3, $4, $5, $4, $6, $7, $8, $9);

-- name: delete_expired
-- Not those that a refresh token may still renew.
DELETE FROM sessions s WHERE s.user_id = $1 AND s.expires_at <= $2
    AND NOT (s.is_oauth AND EXISTS (SELECT FROM oauth_grants g WHERE g.session_id = s.id AND g.refresh_until > $2));

-- name: session_by_hash
-- The roles are the user's present ones; sessions.roles is what he had at login. Nobody deactivated gets in.
-- A personal access token is a session of a hundred years (876,000 h), as in the reference.
SELECT s.id, s.user_id, s.create_at, s.expires_at, s.last_activity_at, s.device_id, u.roles, s.is_oauth, s.props
FROM sessions s JOIN users u ON u.id = s.user_id AND u.delete_at = 0
WHERE s.token_hash = $1
UNION ALL
SELECT t.id, t.user_id, t.create_at, t.create_at + 3153600000000, t.create_at, '', u.roles, false,
    jsonb_build_object('type', 'UserAccessToken', 'user_access_token_id', t.id, 'csrf', t.csrf,
        'is_bot', u.is_bot::text,
        'is_guest', ('system_guest' = ANY(string_to_array(u.roles, ' ')))::text)
FROM user_access_tokens t JOIN users u ON u.id = t.user_id AND u.delete_at = 0
WHERE t.token_hash = $1 AND t.is_active;

-- name: session_by_id
SELECT id, user_id, create_at, expires_at, last_activity_at, device_id, roles, is_oauth, props
FROM sessions WHERE id = $1;

-- name: sessions_of
SELECT s.id, s.user_id, s.create_at, s.expires_at, s.last_activity_at, s.device_id, s.roles, s.is_oauth, s.props
FROM sessions s WHERE s.user_id = $1 AND s.expires_at > $2 ORDER BY s.last_activity_at DESC, s.id;

-- name: delete_session
DELETE FROM sessions WHERE user_id = $1 AND id = $2 RETURNING id, token_hash;

-- name: delete_sessions
-- $2: a session to keep, or ''.
DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id, token_hash;

-- name: delete_device_sessions
-- A device has one session: of the user, but the one that it has now ($3).
DELETE FROM sessions WHERE user_id = $1 AND device_id = $2 AND id <> $3 RETURNING id, token_hash;

-- name: set_device
-- $2 the device, null: as it was; $3 the new end, null: as it was; $4 props to set.
UPDATE sessions SET device_id = coalesce($2, device_id), expires_at = coalesce($3, expires_at), props = props || $4
WHERE user_id = $1 AND id = $5 RETURNING id, token_hash;

-- name: extend_session
-- Of several at once the first one extends: $2 the new end, $3 the most that the old one may be.
UPDATE sessions SET expires_at = $2, last_activity_at = $4 WHERE id = $1 AND expires_at <= $3
RETURNING id, token_hash;

-- name: delete_sessions_of_users
-- Access tokens stay, for the day when the user is active again, but nobody may have them in memory.
WITH ended AS (DELETE FROM sessions WHERE user_id = ANY($1::text[]) RETURNING token_hash)
SELECT token_hash FROM ended
UNION ALL
SELECT token_hash FROM user_access_tokens WHERE user_id = ANY($1::text[]);

-- name: users_with_sessions
-- The next users (after $1, by id) that are logged in.
SELECT DISTINCT user_id FROM sessions WHERE user_id > $1 ORDER BY user_id LIMIT $2;

-- name: hashes_of_user
-- All that a user is logged in by, access tokens too.
SELECT token_hash FROM sessions WHERE user_id = $1 UNION ALL SELECT token_hash FROM user_access_tokens WHERE user_id = $1;
