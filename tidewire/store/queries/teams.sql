-- name: teams_by_ids
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite, last_team_icon_update
FROM teams WHERE id = ANY($1::text[]);

-- name: team_by_invite_id
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite
FROM teams WHERE invite_id = $1 AND delete_at = 0;

-- name: lock_team
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite
FROM teams WHERE id = $1 FOR NO KEY UPDATE;

-- name: update_team
UPDATE teams SET update_at = $2, delete_at = $3, display_name = $4, type = $5, description = $6, company_name = $7,
    allowed_domains = $8, invite_id = $9, allow_open_invite = $10
WHERE id = $1;

-- name: search_teams
-- $1 a pattern for LIKE, $2 open ones, $3 closed ones.
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite
FROM teams WHERE delete_at = 0 AND (name LIKE $1 OR lower(display_name) LIKE $1)
    AND (CASE WHEN allow_open_invite THEN $2::bool ELSE $3::bool END)
ORDER BY display_name, id LIMIT $4 OFFSET $5;

-- name: count_found_teams
SELECT count(*) FROM teams WHERE delete_at = 0 AND (name LIKE $1 OR lower(display_name) LIKE $1)
    AND (CASE WHEN allow_open_invite THEN $2::bool ELSE $3::bool END);

-- name: team_by_name
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite, last_team_icon_update
FROM teams WHERE name = $1;

-- name: teams_of
SELECT t.id, name, display_name, type, t.create_at, update_at, t.delete_at, description, email, company_name,
    allowed_domains, invite_id, allow_open_invite, last_team_icon_update
FROM team_members m JOIN teams t ON t.id = m.team_id
WHERE m.user_id = $1 AND m.delete_at = 0 AND t.delete_at = 0 ORDER BY t.display_name, t.id;

-- name: page_of_teams
SELECT id, name, display_name, type, create_at, update_at, delete_at, description, email, company_name, allowed_domains,
    invite_id, allow_open_invite, last_team_icon_update
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
-- $6 '' or a user: only those who share a channel with him.
SELECT m.team_id, m.user_id, concat_ws(' ', nullif(m.explicit_roles, ''), CASE WHEN m.scheme_guest THEN 'team_guest' END,
    CASE WHEN m.scheme_user THEN 'team_user' END, CASE WHEN m.scheme_admin THEN 'team_admin' END) AS roles,
    m.delete_at, m.scheme_guest, m.scheme_user, m.scheme_admin, m.explicit_roles
FROM team_members m JOIN users u ON u.id = m.user_id
WHERE m.team_id = $1 AND m.delete_at = 0 AND (NOT $2::bool OR u.delete_at = 0)
    AND ($6::text = '' OR EXISTS (
        SELECT FROM channel_members own JOIN channel_members other USING (channel_id)
        WHERE own.user_id = $6 AND other.user_id = m.user_id))
ORDER BY CASE WHEN $3::bool THEN u.username END, m.user_id LIMIT $4 OFFSET $5;

-- name: memberships_of
SELECT m.team_id, m.user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'team_guest' END,
    CASE WHEN scheme_user THEN 'team_user' END, CASE WHEN scheme_admin THEN 'team_admin' END) AS roles,
    m.delete_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM team_members m JOIN teams t ON t.id = m.team_id AND t.delete_at = 0
WHERE m.user_id = $1 AND m.delete_at = 0 ORDER BY m.team_id;

-- name: lock_joining
SELECT pg_advisory_xact_lock(hashtextextended('join ' || $1, 0));

-- name: join_team
-- $4 who runs the team, or ''. Returns those who were no members before. Guests are guests in every team, also those who
-- become some just now: their rows are held (see guests.sql).
INSERT INTO team_members AS m (team_id, user_id, create_at, scheme_guest, scheme_user, scheme_admin)
SELECT $1, u.id, $3, g.guest, NOT g.guest, u.id = $4
FROM users u, LATERAL (SELECT 'system_guest' = ANY(string_to_array(u.roles, ' ')) AS guest) g
WHERE u.id = ANY($2::text[]) ORDER BY u.id FOR KEY SHARE OF u
ON CONFLICT (team_id, user_id) DO UPDATE SET delete_at = 0, explicit_roles = '', scheme_guest = excluded.scheme_guest,
    scheme_user = excluded.scheme_user, scheme_admin = excluded.scheme_admin
WHERE m.delete_at > 0 RETURNING user_id, scheme_guest;

-- name: lock_team_member
SELECT team_id, user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'team_guest' END,
    CASE WHEN scheme_user THEN 'team_user' END, CASE WHEN scheme_admin THEN 'team_admin' END) AS roles,
    delete_at, scheme_guest, scheme_user, scheme_admin, explicit_roles
FROM team_members WHERE team_id = $1 AND user_id = $2 AND delete_at = 0 FOR NO KEY UPDATE;

-- name: set_team_roles
UPDATE team_members SET explicit_roles = $3, scheme_guest = $4, scheme_user = $5, scheme_admin = $6
WHERE team_id = $1 AND user_id = $2
RETURNING team_id, user_id, concat_ws(' ', nullif(explicit_roles, ''), CASE WHEN scheme_guest THEN 'team_guest' END,
    CASE WHEN scheme_user THEN 'team_user' END, CASE WHEN scheme_admin THEN 'team_admin' END) AS roles,
    delete_at, scheme_guest, scheme_user, scheme_admin, explicit_roles;

-- name: leave_team
UPDATE team_members SET delete_at = $3 WHERE team_id = $1 AND user_id = $2 AND delete_at = 0 RETURNING user_id;

-- name: hold_membership
-- Keeps a team membership until the end of the transaction: nobody is added to a channel of a team he is just leaving.
SELECT user_id FROM team_members WHERE team_id = $1 AND user_id = ANY($2::text[]) AND delete_at = 0
ORDER BY user_id FOR SHARE;

-- name: team_stats
-- $2 '' or a user: only those who share a channel with him.
SELECT count(*) AS total, count(*) FILTER (WHERE u.delete_at = 0) AS active
FROM team_members m JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 AND m.delete_at = 0
    AND ($2::text = '' OR EXISTS (
        SELECT FROM channel_members own JOIN channel_members other USING (channel_id)
        WHERE own.user_id = $2 AND other.user_id = m.user_id));

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

-- name: common_teams
-- The live teams that all active members of a channel are in.
SELECT t.id, t.name, t.display_name, t.type, t.create_at, t.update_at, t.delete_at, t.description, t.email,
    t.company_name, t.allowed_domains, t.invite_id, t.allow_open_invite
FROM teams t JOIN team_members tm ON tm.team_id = t.id AND tm.delete_at = 0
JOIN channel_members m ON m.channel_id = $1 AND m.user_id = tm.user_id
JOIN users u ON u.id = m.user_id AND u.delete_at = 0
WHERE t.delete_at = 0
GROUP BY t.id HAVING count(*) = (
    SELECT count(*) FROM channel_members a JOIN users b ON b.id = a.user_id AND b.delete_at = 0 WHERE a.channel_id = $1)
ORDER BY t.display_name, t.id;

-- name: share_team
SELECT EXISTS (
    SELECT FROM team_members a JOIN team_members b USING (team_id) JOIN teams t ON t.id = a.team_id AND t.delete_at = 0
    WHERE a.user_id = $1 AND b.user_id = $2 AND a.delete_at = 0 AND b.delete_at = 0);

-- name: team_thread_unreads
-- Followed threads with replies that the user has not seen, and the mentions in them, by team.
SELECT c.team_id, count(*) AS threads, sum(f.unread_mentions)::bigint AS mentions,
    coalesce(sum(f.unread_mentions) FILTER (WHERE f.unread_mentions > 0 AND EXISTS (
        SELECT FROM posts r WHERE r.id = f.root_id AND r.priority LIKE 'urgent%')), 0)::bigint AS urgent_mentions
FROM thread_members f JOIN threads t ON t.root_id = f.root_id AND t.delete_at = 0
JOIN channels c ON c.id = f.channel_id AND c.team_id <> '' AND c.delete_at = 0
JOIN channel_members m ON m.channel_id = f.channel_id AND m.user_id = f.user_id
WHERE f.user_id = $1 AND f.following AND t.last_reply_at > f.last_viewed_at
GROUP BY c.team_id;
