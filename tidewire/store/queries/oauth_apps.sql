-- part: app
id, creator_id, create_at, update_at, client_secret, name, description, icon_url, callback_urls, homepage, is_trusted,
    mattermost_app_id, is_dynamically_registered

-- name: insert_oauth_app
INSERT INTO oauth_apps (id, creator_id, create_at, update_at, client_secret, name, description, icon_url, callback_urls,
    homepage, is_trusted, mattermost_app_id, is_dynamically_registered)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: count_oauth_apps
SELECT count(*) FROM oauth_apps WHERE creator_id = $1;

-- name: oauth_app
SELECT {app} FROM oauth_apps WHERE id = $1;

-- name: lock_oauth_app
-- Against other changes, and against new codes and tokens.
SELECT {app} FROM oauth_apps WHERE id = $1 FOR UPDATE;

-- name: hold_oauth_app
-- As it is, until the transaction ends: many may at once.
SELECT {app} FROM oauth_apps WHERE id = $1 FOR SHARE;

-- name: page_of_oauth_apps
SELECT {app} FROM oauth_apps ORDER BY id LIMIT $1 OFFSET $2;

-- name: page_of_own_oauth_apps
SELECT {app} FROM oauth_apps WHERE creator_id = $1 ORDER BY id LIMIT $2 OFFSET $3;

-- name: authorized_oauth_apps
SELECT a.id, a.creator_id, a.create_at, a.update_at, '' AS client_secret, a.name, a.description, a.icon_url,
    a.callback_urls, a.homepage, a.is_trusted, a.mattermost_app_id, a.is_dynamically_registered
FROM oauth_authorized o JOIN oauth_apps a ON a.id = o.app_id WHERE o.user_id = $1 ORDER BY o.app_id LIMIT $2 OFFSET $3;

-- name: update_oauth_app
UPDATE oauth_apps SET update_at = $2, client_secret = $3, name = $4, description = $5, icon_url = $6,
    callback_urls = $7, homepage = $8, is_trusted = $9
WHERE id = $1;

-- name: lock_unused_oauth_apps
-- The oldest $2 of those that registered themselves before $1, that nobody has authorised and no administrator trusts.
-- Whoever authorises one holds it: that one is left out.
SELECT a.id FROM oauth_apps a
WHERE a.creator_id = '' AND a.is_dynamically_registered AND NOT a.is_trusted AND a.create_at < $1
    AND NOT EXISTS (SELECT FROM oauth_authorized o WHERE o.app_id = a.id)
ORDER BY a.create_at, a.id LIMIT $2 FOR UPDATE OF a SKIP LOCKED;

-- name: delete_unused_oauth_apps
-- Of locked ones. Asked again: one may have been authorised between the other statement's look and its lock.
DELETE FROM oauth_apps a WHERE a.id = ANY($1::text[]) AND NOT EXISTS (SELECT FROM oauth_authorized o WHERE o.app_id = a.id)
RETURNING a.id;

-- name: delete_oauth_app
WITH codes_ AS (DELETE FROM oauth_codes WHERE app_id = $1),
    authorized_ AS (DELETE FROM oauth_authorized WHERE app_id = $1)
DELETE FROM oauth_apps WHERE id = $1;
