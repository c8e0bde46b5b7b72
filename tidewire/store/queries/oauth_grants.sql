-- Whoever writes what a user granted, or his sessions, holds the user's row: one after the other.

-- name: put_authorized
INSERT INTO oauth_authorized (app_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: users_of_app
-- Some of those who have authorised an app, locked in the order in which all code locks users.
SELECT u.id FROM users u
WHERE u.id IN (SELECT user_id FROM oauth_authorized WHERE app_id = $1 ORDER BY user_id LIMIT $2)
ORDER BY u.id FOR NO KEY UPDATE;

-- name: delete_authorized
-- What users have granted an app, all but its sessions: with them what renews them goes.
WITH codes_ AS (DELETE FROM oauth_codes WHERE app_id = $1 AND user_id = ANY($2::text[])),
    preferences_ AS (DELETE FROM preferences WHERE user_id = ANY($2::text[]) AND category = $3 AND name = $1)
DELETE FROM oauth_authorized WHERE app_id = $1 AND user_id = ANY($2::text[]);

-- name: delete_sessions_of_app
DELETE FROM sessions s USING oauth_grants g
WHERE g.app_id = $1 AND g.user_id = ANY($2::text[]) AND s.id = g.session_id
RETURNING s.user_id, s.id, s.token_hash;

-- name: delete_oldest_of_app
-- A user's sessions of an app beyond the newest $3.
DELETE FROM sessions WHERE id IN (
    SELECT session_id FROM oauth_grants WHERE app_id = $1 AND user_id = $2 ORDER BY session_id DESC OFFSET $3)
RETURNING id, token_hash;

-- name: delete_old_codes
-- A bounded number on the way of each insert: the table holds what the last day made.
DELETE FROM oauth_codes WHERE code_hash IN (
    SELECT code_hash FROM oauth_codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED);

-- name: delete_spare_codes
-- A user's codes for an app that nobody redeemed, beyond the newest $3.
DELETE FROM oauth_codes WHERE code_hash IN (
    SELECT code_hash FROM oauth_codes WHERE app_id = $1 AND user_id = $2 AND session_id = ''
    ORDER BY expires_at DESC OFFSET $3);

-- name: insert_code
INSERT INTO oauth_codes (code_hash, app_id, user_id, redirect_uri, challenge, expires_at, login_id)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: code
SELECT app_id, user_id, redirect_uri, challenge, expires_at, session_id FROM oauth_codes WHERE code_hash = $1;

-- name: use_code
UPDATE oauth_codes SET session_id = $2, login_id = NULL WHERE code_hash = $1;

-- name: insert_grant
INSERT INTO oauth_grants (session_id, app_id, user_id, refresh_hash, refresh_until) VALUES ($1, $2, $3, $4, $5);

-- name: grant_of_session
SELECT app_id, user_id, refresh_hash, old_hashes, refresh_until FROM oauth_grants WHERE session_id = $1;

-- name: renew_grant
-- $4: how many of the replaced hashes are kept.
UPDATE oauth_grants SET old_hashes = (old_hashes || refresh_hash)[greatest(1, cardinality(old_hashes) + 2 - $4::int):],
    refresh_hash = $2, refresh_until = $3
WHERE session_id = $1;

-- name: renew_session
-- Another access token for the same session; the former one's hash comes back.
UPDATE sessions s SET token_hash = $2, expires_at = $3, last_activity_at = $4
FROM (SELECT id, token_hash FROM sessions WHERE id = $1 FOR UPDATE) former
WHERE s.id = former.id
RETURNING s.id, former.token_hash;
