-- name: users_by_ids
SELECT id, username, email, create_at, update_at, delete_at, auth_data, auth_service, email_verified, nickname,
    first_name, last_name, position, roles, props, notify_props, last_password_update, last_picture_update,
    failed_attempts, locale, timezone, mfa_active, is_bot, bot_description, bot_last_icon_update, terms_of_service_id,
    terms_of_service_create_at
FROM users WHERE id = ANY($1::text[]) AND update_at > $2;

-- name: users_by_usernames
SELECT id, username, email, create_at, update_at, delete_at, auth_data, auth_service, email_verified, nickname,
    first_name, last_name, position, roles, props, notify_props, last_password_update, last_picture_update,
    failed_attempts, locale, timezone, mfa_active, is_bot, bot_description, bot_last_icon_update, terms_of_service_id,
    terms_of_service_create_at
FROM users WHERE username = ANY($1::text[]);

-- name: user_by_email
SELECT id, username, email, create_at, update_at, delete_at, auth_data, auth_service, email_verified, nickname,
    first_name, last_name, position, roles, props, notify_props, last_password_update, last_picture_update,
    failed_attempts, locale, timezone, mfa_active, is_bot, bot_description, bot_last_icon_update, terms_of_service_id,
    terms_of_service_create_at
FROM users WHERE email = $1;

-- name: credentials
-- $1 an id, a username ($2: if that is allowed) or an e-mail ($3); an address is never a username: at most one row.
SELECT id, password_hash, failed_attempts, delete_at, is_bot, auth_service, email_verified, mfa_active,
    last_password_update
FROM users WHERE id = $1 OR ($2::bool AND username = $1) OR ($3::bool AND email = $1);

-- name: lock_user
SELECT id, username, email, create_at, update_at, delete_at, auth_data, auth_service, email_verified, nickname,
    first_name, last_name, position, roles, props, notify_props, last_password_update, last_picture_update,
    failed_attempts, locale, timezone, mfa_active, is_bot, bot_description, bot_last_icon_update, terms_of_service_id,
    terms_of_service_create_at
FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- name: any_user
SELECT EXISTS (SELECT FROM users);

-- name: lock_users
-- In the order in which all code locks users.
SELECT 1 FROM users WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE;

-- name: lock_first_user
-- Whoever finds the table empty queues here and looks again: one first account, however many ask at once.
SELECT pg_advisory_xact_lock(7813011337);

-- name: insert_user
INSERT INTO users (id, create_at, update_at, username, email, password_hash, nickname, first_name, last_name, position,
    roles, props, notify_props, last_password_update, locale, timezone, email_verified, is_bot, bot_description)
VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $2, $13, $14, $15, $16, $17);

-- name: update_user
UPDATE users SET update_at = $2, username = $3, email = $4, nickname = $5, first_name = $6, last_name = $7,
    position = $8, props = $9, notify_props = $10, locale = $11, timezone = $12, email_verified = $13
WHERE id = $1;

-- name: set_failed_attempts
UPDATE users SET failed_attempts = CASE WHEN $2 THEN failed_attempts + 1 ELSE 0 END WHERE id = $1;

-- name: set_password_hash
UPDATE users SET password_hash = $2 WHERE id = $1;

-- name: change_password
UPDATE users SET password_hash = $2, last_password_update = $3, update_at = $3, failed_attempts = 0 WHERE id = $1;

-- name: set_mfa
-- A new secret is not in force before a code of it was shown ($3).
UPDATE users SET mfa_secret = $2, mfa_active = $3, update_at = $4 WHERE id = $1;

-- name: mfa_of
SELECT mfa_active, mfa_secret, mfa_last_step FROM users WHERE id = $1;

-- name: take_mfa_step
-- Of two who show the same code at once one gets the row.
UPDATE users SET mfa_last_step = $2 WHERE id = $1 AND mfa_last_step < $2 RETURNING id;

-- name: verify_email
UPDATE users SET email_verified = true, update_at = $2 WHERE id = $1;

-- name: set_terms
UPDATE users SET terms_of_service_id = $2, terms_of_service_create_at = $3, update_at = $4 WHERE id = $1;

-- name: count_users
SELECT count(*) FROM users WHERE delete_at = 0;

-- name: set_roles
UPDATE users SET roles = $2, update_at = $3 WHERE id = $1;

-- name: set_active
UPDATE users SET delete_at = $2, update_at = $3 WHERE id = $1;

-- name: open_mfa_secrets
SELECT id, mfa_secret FROM users WHERE mfa_secret <> '' AND mfa_secret NOT LIKE 'v1:%' ORDER BY id LIMIT $1;

-- name: seal_mfa_secrets
-- $1 users, $2 what each had, $3 what he gets instead; who has changed it meanwhile keeps his.
UPDATE users u SET mfa_secret = one.sealed FROM (
    SELECT x.id FROM users x WHERE x.id = ANY($1::text[]) ORDER BY x.id FOR NO KEY UPDATE) own
JOIN unnest($1::text[], $2::text[], $3::text[]) one(id, before, sealed) ON one.id = own.id
WHERE u.id = own.id AND u.mfa_secret = one.before;
