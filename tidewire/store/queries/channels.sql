-- name: channels_by_ids
SELECT id, team_id, type, name, display_name, create_at, update_at, delete_at, header, purpose, last_post_at,
    total_msg_count, creator_id, props, total_msg_count_root, last_root_post_at
FROM channels WHERE id = ANY($1::text[]);

-- name: channel_by_name
SELECT id, team_id, type, name, display_name, create_at, update_at, delete_at, header, purpose, last_post_at,
    total_msg_count, creator_id, props, total_msg_count_root, last_root_post_at
FROM channels WHERE team_id = $1 AND name = $2 AND (delete_at = 0 OR $3::bool);

-- name: public_by_names
SELECT c.team_id, c.name, c.display_name, t.name AS team_name
FROM unnest($1::text[], $2::text[]) g(team_id, name) JOIN channels c ON c.team_id = g.team_id AND c.name = g.name
JOIN teams t ON t.id = c.team_id
WHERE c.type = 'O' AND c.delete_at = 0;

-- name: lock_channel
SELECT id, team_id, type, name, display_name, create_at, update_at, delete_at, header, purpose, last_post_at,
    total_msg_count, creator_id, props, total_msg_count_root, last_root_post_at
FROM channels WHERE id = $1 FOR NO KEY UPDATE;

-- name: default_channels
-- $2: names; private ones of such a name are nobody's default.
SELECT id, team_id, type, name, display_name, create_at, update_at, delete_at, header, purpose, last_post_at,
    total_msg_count, creator_id, props, total_msg_count_root, last_root_post_at
FROM channels WHERE team_id = $1 AND name = ANY($2::text[]) AND type = 'O' AND delete_at = 0 ORDER BY id;

-- name: channels_of
-- $2 '' for the channels of all teams, else that team's and the D and G; $3 archived ones too, $4 archived since.
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at
FROM channel_members m JOIN channels c ON c.id = m.channel_id
WHERE m.user_id = $1 AND ($2::text = '' OR c.team_id IN ($2, ''))
    AND (c.delete_at = 0 OR ($3::bool AND c.delete_at >= $4))
ORDER BY c.display_name, c.id;

-- name: lock_team_channels
-- One creation at a time per team, so that the limit holds.
SELECT pg_advisory_xact_lock(hashtextextended($1, 0));

-- name: count_channels
SELECT count(*) FROM channels WHERE team_id = $1 AND delete_at = 0 AND type IN ('O', 'P');

-- name: insert_channel
-- Returns no row where the name is taken.
INSERT INTO channels (id, create_at, update_at, team_id, type, name, display_name, header, purpose, creator_id)
VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (team_id, name) DO NOTHING RETURNING id;

-- name: update_channel
UPDATE channels SET update_at = $2, name = $3, display_name = $4, header = $5, purpose = $6, delete_at = $7,
    type = $8, team_id = $9
WHERE id = $1;

-- name: channel_stats
SELECT count(*) AS member_count, count(*) FILTER (WHERE m.scheme_guest) AS guest_count,
    (SELECT count(*) FROM posts p WHERE p.channel_id = $1 AND p.is_pinned AND p.delete_at = 0) AS pinnedpost_count
FROM channel_members m JOIN users u ON u.id = m.user_id AND u.delete_at = 0 WHERE m.channel_id = $1;
