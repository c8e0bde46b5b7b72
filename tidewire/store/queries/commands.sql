-- part: command
id, token, create_at, update_at, delete_at, creator_id, team_id, trigger, method, username, icon_url, auto_complete,
    auto_complete_desc, auto_complete_hint, display_name, description, url

-- name: insert_command
INSERT INTO commands ({command}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: command_by_id
SELECT {command} FROM commands WHERE id = $1 AND delete_at = 0;

-- name: lock_command
SELECT {command} FROM commands WHERE id = $1 AND delete_at = 0 FOR NO KEY UPDATE;

-- name: commands_of_team
SELECT {command} FROM commands WHERE team_id = $1 AND delete_at = 0 ORDER BY trigger LIMIT $2;

-- name: command_by_trigger
SELECT {command} FROM commands WHERE team_id = $1 AND trigger = $2 AND delete_at = 0;

-- name: count_commands
SELECT count(*) FROM commands WHERE team_id = $1 AND delete_at = 0;

-- name: update_command
UPDATE commands SET token = $2, update_at = $3, delete_at = $4, team_id = $5, trigger = $6, method = $7, username = $8,
    icon_url = $9, auto_complete = $10, auto_complete_desc = $11, auto_complete_hint = $12, display_name = $13,
    description = $14, url = $15
WHERE id = $1;

-- name: insert_reply
INSERT INTO command_replies (id_hash, command_id, user_id, channel_id, root_id, expires_at, uses_left)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: delete_old_replies
DELETE FROM command_replies WHERE id_hash IN (
    SELECT id_hash FROM command_replies WHERE expires_at <= $1 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED);

-- name: take_reply
UPDATE command_replies SET uses_left = uses_left - 1 WHERE id_hash = $1 AND uses_left > 0 AND expires_at > $2
RETURNING command_id, user_id, channel_id, root_id;
