-- name: teams_by_ids
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite
FROM teams WHERE id = ANY($1::text[]);

-- name: team_by_name
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite
FROM teams WHERE name = $1;

-- name: teams_of
SELECT t.id, name, display_name, type, t.create_at, update_at, t.delete_at, description, email, company_name,
    allowed_domains, invite_id, allow_open_invite
FROM team_members m JOIN teams t ON t.id = m.team_id
WHERE m.user_id = $1 AND m.delete_at = 0 AND t.delete_at = 0 ORDER BY t.display_name, t.id;

-- name: page_of_teams
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite
FROM teams WHERE delete_at = 0 AND (allow_open_invite OR $1::bool) ORDER BY display_name, id LIMIT $2 OFFSET $3;

-- name: count_teams
SELECT count(*) FROM teams WHERE delete_at = 0 AND (allow_open_invite OR $1::bool);

-- name: insert_team
INSERT INTO teams (id, create_at, update_at, name, display_name, type, description, email, company_name,
    allowed_domains, invite_id, allow_open_invite)
VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: team_members
SELECT team_id, user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'team_guest' END,
    CASE WHEN scheme_user THEN 'team_user' END, CASE WHEN scheme_admin THEN 'team_admin' END) AS roles,
    delete_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM team_members WHERE team_id = $1 AND user_id = ANY($2::text[]);

-- name: page_of_members
SELECT m.team_id, m.user_id, concat_ws(' ', nullif(m.explicit_roles, ''), CASE WHEN m.scheme_guest THEN 'team_guest' END,
    CASE WHEN m.scheme_user THEN 'team_user' END, CASE WHEN m.scheme_admin THEN 'team_admin' END) AS roles,
    m.delete_at, m.scheme_guest, m.scheme_user, m.scheme_admin, m.explicit_roles
FROM team_members m JOIN users u ON u.id = m.user_id
WHERE m.team_id = $1 AND m.delete_at = 0 AND (NOT $2::bool OR u.delete_at = 0)
ORDER BY CASE WHEN $3::bool THEN u.username END, m.user_id LIMIT $4 OFFSET $5;

-- name: memberships_of
SELECT m.team_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'team_guest' END,
    CASE WHEN scheme_user THEN 'team_user' END, CASE WHEN scheme_admin THEN 'team_admin' END) AS roles,
    m.delete_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM team_members m JOIN teams t ON t.id = m.team_id AND t.delete_at = 0
WHERE m.user_id = $1 AND m.delete_at = 0 ORDER BY m.team_id;

-- name: join_team
-- Returns no row for one who is a member already.
INSERT INTO team_members AS m (team_id, user_id, create_at, scheme_admin) VALUES ($1, $2, $3, $4)
ON CONFLICT (team_id, user_id) DO UPDATE SET delete_at = 0, scheme_admin = excluded.scheme_admin, scheme_user = true
WHERE m.delete_at > 0 RETURNING user_id;

-- name: leave_team
UPDATE team_members SET delete_at = $3 WHERE team_id = $1 AND user_id = $2 AND delete_at = 0 RETURNING user_id;

-- name: hold_membership
-- Keeps a team membership until the end of the transaction: nobody is added to a channel of a team he is just leaving.
SELECT user_id FROM team_members WHERE team_id = $1 AND user_id = ANY($2::text[]) AND delete_at = 0
ORDER BY user_id FOR SHARE;

-- name: team_stats
SELECT count(*) AS total, count(*) FILTER (WHERE u.delete_at = 0) AS active
FROM team_members m JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 AND m.delete_at = 0;

-- name: team_unreads
-- Messages only of channels that are not muted, mentions of all. D and G have no team.
SELECT c.team_id, sum(m.mention_count)::bigint AS mention_count, sum(m.mention_count_root)::bigint AS mention_count_root,
    coalesce(sum(c.total_msg_count - m.msg_count)
        FILTER (WHERE m.notify_props ->> 'mark_unread' IS DISTINCT FROM 'mention'), 0)::bigint AS msg_count,
    coalesce(sum(c.total_msg_count_root - m.msg_count_root)
        FILTER (WHERE m.notify_props ->> 'mark_unread' IS DISTINCT FROM 'mention'), 0)::bigint AS msg_count_root
FROM channel_members m JOIN channels c ON c.id = m.channel_id
JOIN team_members t ON t.team_id = c.team_id AND t.user_id = m.user_id AND t.delete_at = 0
WHERE m.user_id = $1 AND c.team_id <> '' AND c.delete_at = 0 AND ($2::text = '' OR c.team_id = $2)
GROUP BY c.team_id ORDER BY c.team_id;
