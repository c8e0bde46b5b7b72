-- Guests and members: whoever changes from one to the other changes everywhere at once.

-- name: give_way
-- This transaction takes locks that joins take the other way round: it is the one that gives up, and tries again.
SET LOCAL lock_timeout = '300ms';

-- name: turn_team_members
-- $2: into a guest. First of all locks, as in leaving a team: nobody adds the user to a channel of his teams meanwhile.
WITH own AS (SELECT team_id FROM team_members WHERE user_id = $1 ORDER BY team_id FOR NO KEY UPDATE)
UPDATE team_members m SET scheme_guest = $2, scheme_user = NOT $2, scheme_admin = scheme_admin AND NOT $2
FROM own WHERE m.team_id = own.team_id AND m.user_id = $1
RETURNING m.team_id, m.user_id, concat_ws(' ', nullif(m.explicit_roles, ''),
    CASE WHEN m.scheme_guest THEN 'team_guest' END, CASE WHEN m.scheme_user THEN 'team_user' END,
    CASE WHEN m.scheme_admin THEN 'team_admin' END) AS roles,
    m.delete_at, m.scheme_guest, m.scheme_user, m.scheme_admin, m.explicit_roles;

-- name: turn_channel_members
WITH own AS (SELECT channel_id FROM channel_members WHERE user_id = $1 ORDER BY channel_id FOR NO KEY UPDATE)
UPDATE channel_members m SET scheme_guest = $2, scheme_user = NOT $2, scheme_admin = scheme_admin AND NOT $2,
    last_update_at = $3
FROM own WHERE m.channel_id = own.channel_id AND m.user_id = $1
RETURNING m.channel_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''),
    CASE WHEN scheme_guest THEN 'channel_guest' END, CASE WHEN scheme_user THEN 'channel_user' END,
    CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles;

-- name: lock_user_out
-- Joins hold the row FOR KEY SHARE until they end, and whoever joins from now on reads the new roles.
SELECT roles FROM users WHERE id = $1 FOR UPDATE;

-- name: came_meanwhile
-- Whether the user has come into a team or channel, with his old roles, since these were turned.
SELECT EXISTS (SELECT FROM team_members WHERE user_id = $1 AND scheme_guest <> $2)
    OR EXISTS (SELECT FROM channel_members WHERE user_id = $1 AND scheme_guest <> $2);

-- name: turn_sessions
UPDATE sessions SET props = props || jsonb_build_object('is_guest', $2::bool::text) WHERE user_id = $1;

-- name: deactivate_guests
UPDATE users SET delete_at = $1, update_at = greatest($1, update_at + 1)
WHERE roles LIKE '%system_guest%' AND delete_at = 0 AND NOT is_bot RETURNING id;

-- name: channels_of
SELECT DISTINCT channel_id FROM channel_members WHERE user_id = ANY($1::text[]);

-- name: join_defaults
-- $1 a user, who is none any more, $2 names of channels: he comes into those of all his teams, with nothing unread.
INSERT INTO channel_members (channel_id, user_id, msg_count, msg_count_root, last_viewed_at, last_update_at, notify_props)
SELECT c.id, $1, c.total_msg_count, c.total_msg_count_root, c.last_post_at, $3, $4
FROM team_members t JOIN teams l ON l.id = t.team_id AND l.delete_at = 0
JOIN channels c ON c.team_id = t.team_id AND c.name = ANY($2::text[]) AND c.type = 'O' AND c.delete_at = 0
WHERE t.user_id = $1 AND t.delete_at = 0 ORDER BY c.id
ON CONFLICT (channel_id, user_id) DO NOTHING RETURNING channel_id;
