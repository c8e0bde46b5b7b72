-- name: picture_of
SELECT at, png FROM pictures WHERE owner_id = $1;

-- name: put_picture
INSERT INTO pictures (owner_id, at, png) VALUES ($1, $2, $3)
ON CONFLICT (owner_id) DO UPDATE SET at = excluded.at, png = excluded.png;

-- name: delete_picture
DELETE FROM pictures WHERE owner_id = $1;

-- name: set_user_picture_time
UPDATE users SET last_picture_update = $2, update_at = $3 WHERE id = $1;

-- name: set_team_icon_time
-- Locks the team, as every announcement to it does. No row: there is no such team.
UPDATE teams SET last_team_icon_update = $2, update_at = greatest($3, update_at + 1) WHERE id = $1
RETURNING id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name,
    allowed_domains, invite_id, allow_open_invite, last_team_icon_update;
