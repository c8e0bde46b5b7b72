-- What posts refer to, and how one user stands to it: his roles in the channel and in its team ('' for none), and the
-- numbers of the last events of both, which order what is told of them. $2: the user.

-- part: standing
c.team_id, c.type AS channel_type, c.name, c.display_name, coalesce(t.name, '') AS team_name, c.event_n,
    coalesce(t.event_n, 0) AS team_event_n,
    concat_ws(' ', nullif(m.explicit_roles, ''), CASE WHEN m.scheme_guest THEN 'channel_guest' END,
        CASE WHEN m.scheme_user THEN 'channel_user' END, CASE WHEN m.scheme_admin THEN 'channel_admin' END) AS roles,
    concat_ws(' ', nullif(s.explicit_roles, ''), CASE WHEN s.scheme_guest THEN 'team_guest' END,
        CASE WHEN s.scheme_user THEN 'team_user' END, CASE WHEN s.scheme_admin THEN 'team_admin' END) AS team_roles

-- part: of_user
LEFT JOIN teams t ON t.id = c.team_id
    LEFT JOIN channel_members m ON m.channel_id = c.id AND m.user_id = $2
    LEFT JOIN team_members s ON s.team_id = c.team_id AND s.user_id = $2 AND s.delete_at = 0

-- name: channels_by_names
-- Live public and private channels of a team.
SELECT c.id AS channel_id, {standing}
FROM channels c {of_user}
WHERE c.team_id = $3 AND c.name = ANY($1::text[]) AND c.type IN ('O', 'P') AND c.delete_at = 0;

-- name: channels_by_ids
SELECT c.id AS channel_id, {standing}
FROM channels c {of_user}
WHERE c.id = ANY($1::text[]);

-- name: channels_by_full_names
-- $1: names of channels, $3: names of their teams.
SELECT c.id AS channel_id, {standing}
FROM unnest($1::text[], $3::text[]) g(name, team_name) JOIN teams y ON y.name = g.team_name
    JOIN channels c ON c.team_id = y.id AND c.name = g.name {of_user};

-- name: linked_posts
-- Live posts with where they stand. $3: the longest props, in characters, that are shown in another post.
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, h.reply_count, h.last_reply_at, h.participants, {standing}
FROM posts p JOIN channels c ON c.id = p.channel_id LEFT JOIN threads h ON h.root_id = p.id {of_user}
WHERE p.id = ANY($1::text[]) AND p.original_id = '' AND p.delete_at = 0 AND length(p.props::text) <= $3;
