-- name: members
SELECT channel_id, user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'channel_guest' END,
    CASE WHEN scheme_user THEN 'channel_user' END, CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM channel_members WHERE channel_id = $1 AND user_id = ANY($2::text[]) ORDER BY user_id;

-- name: page_of_members
SELECT channel_id, user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'channel_guest' END,
    CASE WHEN scheme_user THEN 'channel_user' END, CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM channel_members WHERE channel_id = $1 ORDER BY user_id LIMIT $2 OFFSET $3;

-- name: memberships_in_team
SELECT m.channel_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''),
    CASE WHEN scheme_guest THEN 'channel_guest' END, CASE WHEN scheme_user THEN 'channel_user' END,
    CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM channel_members m JOIN channels c ON c.id = m.channel_id AND c.team_id IN ($2, '')
WHERE m.user_id = $1 ORDER BY m.channel_id;

-- name: memberships_with_team
SELECT m.channel_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''),
    CASE WHEN scheme_guest THEN 'channel_guest' END, CASE WHEN scheme_user THEN 'channel_user' END,
    CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles,
    coalesce(t.display_name, '') AS team_display_name, coalesce(t.name, '') AS team_name,
    coalesce(t.update_at, 0) AS team_update_at
FROM channel_members m JOIN channels c ON c.id = m.channel_id LEFT JOIN teams t ON t.id = c.team_id
WHERE m.user_id = $1 ORDER BY m.channel_id LIMIT $2 OFFSET $3;

-- name: roles_of
SELECT concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'channel_guest' END,
    CASE WHEN scheme_user THEN 'channel_user' END, CASE WHEN scheme_admin THEN 'channel_admin' END)
FROM channel_members WHERE channel_id = $1 AND user_id = $2;

-- name: join_channel
-- Those who join have nothing unread, and follow no thread yet. Returns the users who were no members before.
-- Guests are guests in every channel, also those who become some just now: their rows are held (see guests.sql).
WITH old AS (
    DELETE FROM thread_members t USING unnest($2::text[]) u(id) WHERE t.user_id = u.id AND t.channel_id = $1
        AND NOT EXISTS (SELECT FROM channel_members m WHERE m.channel_id = $1 AND m.user_id = u.id))
INSERT INTO channel_members (channel_id, user_id, msg_count, msg_count_root, last_viewed_at, last_update_at,
    notify_props, scheme_guest, scheme_user, scheme_admin)
SELECT c.id, u.id, c.total_msg_count, c.total_msg_count_root, c.last_post_at, $3, $4, g.guest, NOT g.guest,
    u.id = $5 AND NOT g.guest
FROM channels c, users u, LATERAL (SELECT 'system_guest' = ANY(string_to_array(u.roles, ' ')) AS guest) g
WHERE c.id = $1 AND u.id = ANY($2::text[]) ORDER BY u.id FOR KEY SHARE OF u
ON CONFLICT (channel_id, user_id) DO NOTHING RETURNING user_id;

-- name: leave_channel
DELETE FROM channel_members WHERE channel_id = $1 AND user_id = $2 RETURNING user_id;

-- name: leave_channels_of_team
-- The inner SELECT takes the locks in the order that posts take them in.
WITH own AS (
    SELECT m.channel_id FROM channel_members m JOIN channels c ON c.id = m.channel_id AND c.team_id = $1
    WHERE m.user_id = $2 ORDER BY m.channel_id FOR UPDATE OF m)
DELETE FROM channel_members m USING own WHERE m.channel_id = own.channel_id AND m.user_id = $2 RETURNING m.channel_id;

-- name: view_channels
-- Source: Mattermost API v4, "channel viewed": the counters reach the channel's, last_viewed_at its last post.
-- The memberships are locked before, by a statement of its own.
WITH own AS (
    SELECT m.channel_id, c.total_msg_count, c.total_msg_count_root, c.last_post_at,
        m.mention_count > 0 AS mentioned, m.msg_count < c.total_msg_count AS unread
    FROM channel_members m JOIN channels c ON c.id = m.channel_id
    WHERE m.user_id = $1 AND m.channel_id = ANY($2::text[]))
UPDATE channel_members m SET mention_count = 0, mention_count_root = 0, urgent_mention_count = 0,
    msg_count = greatest(m.msg_count, own.total_msg_count),
    msg_count_root = greatest(m.msg_count_root, own.total_msg_count_root),
    last_viewed_at = greatest(m.last_viewed_at, own.last_post_at), last_update_at = $3
FROM own WHERE m.channel_id = own.channel_id AND m.user_id = $1
RETURNING m.channel_id, own.last_post_at, own.mentioned, own.unread;

-- name: unread
SELECT c.team_id, m.channel_id, c.total_msg_count - m.msg_count AS msg_count, m.mention_count, m.mention_count_root,
    m.urgent_mention_count, c.total_msg_count_root - m.msg_count_root AS msg_count_root
FROM channel_members m JOIN channels c ON c.id = m.channel_id WHERE m.user_id = $1 AND m.channel_id = $2;

-- name: members_of_groups
SELECT m.channel_id, m.user_id FROM channel_members m
JOIN channels c ON c.id = m.channel_id AND c.type = 'G'
WHERE m.channel_id = ANY($2::text[]) AND m.user_id <> $1
    AND EXISTS (SELECT FROM channel_members own WHERE own.channel_id = m.channel_id AND own.user_id = $1)
ORDER BY m.channel_id, m.user_id;

-- name: sharing_channel
SELECT DISTINCT other.user_id FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
WHERE own.user_id = $1 AND other.user_id = ANY($2::text[]);

-- name: lock_all_members
-- In the order that posts take the locks in; nobody leaves until the transaction ends.
SELECT m.user_id, u.delete_at = 0 AS active FROM channel_members m JOIN users u ON u.id = m.user_id
WHERE m.channel_id = $1 ORDER BY m.user_id FOR NO KEY UPDATE OF m;

-- name: leave_channel_many
DELETE FROM channel_members WHERE channel_id = $1 AND user_id = ANY($2::text[]);

-- name: lock_member
SELECT channel_id, user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'channel_guest' END,
    CASE WHEN scheme_user THEN 'channel_user' END, CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM channel_members WHERE channel_id = $1 AND user_id = $2 FOR NO KEY UPDATE;

-- name: lock_own_members
SELECT FROM channel_members WHERE user_id = $1 AND channel_id = ANY($2::text[]) ORDER BY channel_id
FOR NO KEY UPDATE;

-- name: set_channel_roles
UPDATE channel_members SET explicit_roles = $3, scheme_guest = $4, scheme_user = $5, scheme_admin = $6,
    last_update_at = $7
WHERE channel_id = $1 AND user_id = $2
RETURNING channel_id, user_id, concat_ws(' ', nullif(explicit_roles, ''),
    CASE WHEN scheme_guest THEN 'channel_guest' END, CASE WHEN scheme_user THEN 'channel_user' END,
    CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles;

-- name: set_notify_props
-- $1 a user, $2 channels, $3 what is added to their props. The inner SELECT takes the locks in the order of posts.
WITH own AS (
    SELECT m.channel_id FROM channel_members m WHERE m.user_id = $1 AND m.channel_id = ANY($2::text[])
    ORDER BY m.channel_id FOR NO KEY UPDATE)
UPDATE channel_members m SET notify_props = m.notify_props || $3::jsonb, last_update_at = $4
FROM own WHERE m.channel_id = own.channel_id AND m.user_id = $1
RETURNING m.channel_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''),
    CASE WHEN scheme_guest THEN 'channel_guest' END, CASE WHEN scheme_user THEN 'channel_user' END,
    CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles;

-- name: memberships_as_lines
-- JSON made here, one object a line, members as ChannelMemberWithTeam has them: a browser's start reads hundreds of rows,
-- and making each an object in the API and text again cost six times the CPU there.
SELECT convert_to(coalesce(string_agg(row_to_json(r)::text, E'\n' ORDER BY r.channel_id), ''), 'UTF8') AS lines,
    count(*) AS count, max(r.channel_id) AS last
FROM (
SELECT m.channel_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''),
    CASE WHEN scheme_guest THEN 'channel_guest' END, CASE WHEN scheme_user THEN 'channel_user' END,
    CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles,
    last_viewed_at, msg_count, mention_count, mention_count_root, urgent_mention_count, msg_count_root, notify_props,
    last_update_at, scheme_guest, scheme_user, scheme_admin, explicit_roles, false AS autotranslation_disabled,
    coalesce(t.display_name, '') AS team_display_name, coalesce(t.name, '') AS team_name,
    coalesce(t.update_at, 0) AS team_update_at
FROM channel_members m JOIN channels c ON c.id = m.channel_id LEFT JOIN teams t ON t.id = c.team_id
WHERE m.user_id = $1 AND m.channel_id > $2 ORDER BY m.channel_id LIMIT $3
) r;

-- name: count_in_team
SELECT count(*) FROM channel_members m JOIN channels c ON c.id = m.channel_id
WHERE m.user_id = $1 AND c.team_id = $2;

-- name: own_roles
SELECT channel_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'channel_guest' END,
    CASE WHEN scheme_user THEN 'channel_user' END, CASE WHEN scheme_admin THEN 'channel_admin' END) AS roles
FROM channel_members WHERE user_id = $1 AND channel_id = ANY($2::text[]);
