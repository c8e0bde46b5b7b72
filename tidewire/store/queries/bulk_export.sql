-- What an export reads, all of it in one snapshot. $1 is a team's id, or '' for the whole workspace, unless said otherwise.
-- What belongs to an archived team is left out.
--
-- Where rows come one after the other in the order of channels, the channels are sorted first and a LATERAL walks each of
-- them by its index: nothing is sorted or kept but the channels. No join of the outer query could keep that order, so
-- names are looked up row by row.

-- part: places
SELECT c.id, t.name AS team, c.name AS channel FROM channels c JOIN teams t ON t.id = c.team_id
WHERE {scope} AND c.type IN ('O', 'P') AND (c.delete_at = 0 OR $2::bool)

-- part: post
p.id, p.create_at, p.edit_at, p.is_pinned, p.message, p.type, p.props::text AS props, p.file_ids, p.has_reactions, p.priority,
    (SELECT u.username FROM users u WHERE u.id = p.user_id) AS username,
    (SELECT t.reply_count FROM threads t WHERE t.root_id = p.id) AS replies

-- part: scope
t.delete_at = 0 AND ($1::text = '' OR t.id = $1)

-- name: team_id
SELECT id FROM teams WHERE name = $1 AND delete_at = 0;

-- name: total
-- About how many posts there will be.
SELECT coalesce(sum(c.total_msg_count), 0)::bigint FROM channels c LEFT JOIN teams t ON t.id = c.team_id
WHERE CASE WHEN c.team_id = '' THEN $1 = '' ELSE {scope} AND (c.delete_at = 0 OR $2) END;

-- name: left_out
SELECT (SELECT count(*) FROM teams WHERE delete_at > 0 AND $1::text = '') AS teams,
    (SELECT count(*) FROM channels c JOIN teams t ON t.id = c.team_id WHERE {scope} AND c.delete_at > 0 AND NOT $2::bool)
        AS channels;

-- name: people_of_team
-- Who was in a team or wrote in it.
SELECT user_id FROM team_members WHERE team_id = $1
UNION SELECT p.user_id FROM channels c JOIN posts p ON p.channel_id = c.id WHERE c.team_id = $1
UNION SELECT r.user_id FROM channels c JOIN posts p ON p.channel_id = c.id AND p.has_reactions
    JOIN reactions r ON r.post_id = p.id WHERE c.team_id = $1;

-- name: uncounted
-- Of channels whose counters are not the number of their live posts: when the deleted ones that were counted, and the roots
-- among them, were written, in this order; and how many more the counters have. $1: types of posts that are not counted.
SELECT c.id, n.gone, n.gone_roots, c.total_msg_count - coalesce(n.posts, 0) AS rest,
    c.total_msg_count_root - coalesce(n.roots, 0) AS rest_roots
FROM channels c LEFT JOIN (
    SELECT channel_id, count(*) AS posts, count(*) FILTER (WHERE root_id = '') AS roots,
        array_agg(create_at ORDER BY create_at) FILTER (WHERE delete_at > 0) AS gone,
        array_agg(create_at ORDER BY create_at) FILTER (WHERE delete_at > 0 AND root_id = '') AS gone_roots
    FROM posts WHERE original_id = '' AND type <> ALL ($1::text[]) GROUP BY channel_id
) n ON n.channel_id = c.id
WHERE c.total_msg_count <> coalesce(n.posts, 0) OR c.total_msg_count_root <> coalesce(n.roots, 0) OR n.gone IS NOT NULL;

-- name: roles
SELECT name, permissions FROM roles ORDER BY name;

-- name: emojis
SELECT e.name, i.data FROM emojis e JOIN emoji_images i ON i.emoji_id = e.id WHERE e.delete_at = 0 ORDER BY e.name;

-- name: emoji_names
SELECT name FROM emojis WHERE delete_at = 0 ORDER BY name;

-- name: pictures
-- Of people and bots; $2: those of a team.
SELECT u.username, p.png FROM pictures p JOIN users u ON u.id = p.owner_id WHERE $1::text = '' OR u.id = ANY($2::text[]);

-- name: teams
SELECT t.name, t.display_name, t.type, t.description, t.allow_open_invite FROM teams t WHERE {scope} ORDER BY t.name;

-- name: channels
SELECT t.name AS team, c.name, c.display_name, c.type, c.header, c.purpose, c.delete_at
FROM channels c JOIN teams t ON t.id = c.team_id
WHERE {scope} AND c.type IN ('O', 'P') AND (c.delete_at = 0 OR $2::bool) ORDER BY t.name, c.name;

-- name: users
-- $2: those of a team.
SELECT u.id, u.username, u.email, u.auth_service, u.auth_data, u.password_hash, u.nickname, u.first_name, u.last_name,
    u.position, u.roles, u.locale, u.delete_at, u.notify_props, u.email_verified, u.timezone,
    u.props ->> 'customStatus' AS custom_status, u.last_picture_update > 0 AND EXISTS (
        SELECT FROM pictures p WHERE p.owner_id = u.id) AS has_picture,
    (SELECT count(*) FROM channel_members m WHERE m.user_id = u.id) AS channels
FROM users u WHERE NOT u.is_bot AND ($1::text = '' OR u.id = ANY($2::text[])) ORDER BY u.username;

-- name: bots
SELECT u.id, u.username, coalesce(o.username, b.owner_id) AS owner, u.first_name, u.bot_description, b.delete_at,
    EXISTS (SELECT FROM pictures p WHERE p.owner_id = u.id) AS has_picture,
    (SELECT count(*) FROM channel_members m WHERE m.user_id = u.id) AS channels
FROM bots b JOIN users u ON u.id = b.user_id LEFT JOIN users o ON o.id = b.owner_id
WHERE $1::text = '' OR u.id = ANY($2::text[]) ORDER BY u.username;

-- name: team_members
-- $2: of these users. The theme: one may have another for each team.
SELECT m.user_id, m.team_id, t.name, m.explicit_roles, m.scheme_guest, m.scheme_user, m.scheme_admin, f.value AS theme
FROM team_members m JOIN teams t ON t.id = m.team_id
    LEFT JOIN preferences f ON f.user_id = m.user_id AND f.category = 'theme' AND f.name = m.team_id
WHERE m.user_id = ANY($2::text[]) AND m.delete_at = 0 AND {scope} ORDER BY m.user_id, t.name;

-- part: read_state
m.explicit_roles, m.scheme_guest, m.scheme_user, m.scheme_admin, m.last_viewed_at, m.msg_count, m.msg_count_root,
    m.mention_count, m.mention_count_root, m.urgent_mention_count, m.notify_props

-- name: channel_members
-- $2: of these users; $3: of archived channels too.
SELECT m.user_id, m.channel_id, c.team_id, c.name, {read_state}, coalesce(f.value = 'true', false) AS favorite
FROM channel_members m JOIN channels c ON c.id = m.channel_id JOIN teams t ON t.id = c.team_id
    LEFT JOIN preferences f ON f.user_id = m.user_id AND f.category = 'favorite_channel' AND f.name = m.channel_id
WHERE m.user_id = ANY($2::text[]) AND {scope} AND (c.delete_at = 0 OR $3::bool) ORDER BY m.user_id, c.name;

-- name: preferences
-- $1: of these users; $2 and $3: categories and names. The name of the tutorial's is the user's id.
SELECT p.user_id, p.category, p.name, p.value
FROM unnest($1::text[]) u(id) CROSS JOIN unnest($2::text[], $3::text[]) g(category, name)
    JOIN preferences p ON p.user_id = u.id AND p.category = g.category
        AND p.name = CASE g.category WHEN 'tutorial_step' THEN u.id ELSE g.name END
WHERE p.value <> '';

-- part: directs
SELECT c.id, c.type, c.name, c.header, m.names, m.ids FROM channels c, LATERAL (
    SELECT array_agg(u.username ORDER BY u.username) AS names, array_agg(u.id ORDER BY u.id) AS ids
    FROM channel_members m JOIN users u ON u.id = m.user_id WHERE m.channel_id = c.id
) m
WHERE c.team_id = '' AND c.type IN ('D', 'G') AND m.names IS NOT NULL ORDER BY m.names, c.id

-- name: direct_channels
{directs};

-- name: direct_members
-- $1: of these channels. Shown: to one of the two of a direct channel under the other's id, in a group under the channel's.
SELECT m.channel_id, u.username, {read_state}, coalesce(f.value = 'true', false) AS favorite,
    coalesce(s.value = 'true', false) AS shown
FROM channel_members m JOIN users u ON u.id = m.user_id JOIN channels c ON c.id = m.channel_id
    LEFT JOIN preferences f ON f.user_id = m.user_id AND f.category = 'favorite_channel' AND f.name = m.channel_id
    LEFT JOIN preferences s ON s.user_id = m.user_id
        AND s.category = CASE c.type WHEN 'G' THEN 'group_channel_show' ELSE 'direct_channel_show' END
        AND s.name = CASE WHEN c.type = 'G' THEN c.id
            WHEN split_part(c.name, '__', 1) = m.user_id THEN split_part(c.name, '__', 2) ELSE split_part(c.name, '__', 1) END
WHERE m.channel_id = ANY($1::text[]) ORDER BY m.channel_id, u.username;

-- name: posts
SELECT c.team, c.channel, p.* FROM ({places} ORDER BY t.name, c.name) c, LATERAL (
    SELECT {post} FROM posts p
    WHERE p.channel_id = c.id AND p.root_id = '' AND p.original_id = '' AND p.delete_at = 0 ORDER BY p.create_at, p.id
) p;

-- name: direct_posts
-- $1: channels to leave out.
SELECT c.names, p.* FROM ({directs}) c, LATERAL (
    SELECT {post} FROM posts p
    WHERE p.channel_id = c.id AND p.root_id = '' AND p.original_id = '' AND p.delete_at = 0 ORDER BY p.create_at, p.id
) p WHERE c.id <> ALL ($1::text[]);

-- name: replies
SELECT p.root_id, p.id, p.create_at, p.edit_at, p.is_pinned, p.message, p.type, p.props::text AS props, p.file_ids,
    p.has_reactions, u.username
FROM posts p LEFT JOIN users u ON u.id = p.user_id
WHERE p.root_id = ANY($1::text[]) AND p.root_id <> '' AND p.original_id = '' AND p.delete_at = 0
ORDER BY p.root_id, p.create_at, p.id;

-- name: reactions
SELECT r.post_id, u.username, r.emoji_name, r.create_at FROM reactions r JOIN users u ON u.id = r.user_id
WHERE r.post_id = ANY($1::text[]) ORDER BY r.post_id, r.create_at, r.emoji_name, u.username;

-- name: attachments
SELECT id, name, size, sha256, key FROM files WHERE id = ANY($1::text[]) AND delete_at = 0;

-- name: savers
-- Who saved these posts.
SELECT f.name AS post_id, f.user_id, u.username FROM preferences f JOIN users u ON u.id = f.user_id
WHERE f.category = 'flagged_post' AND f.name = ANY($1::text[]) AND f.value = 'true' ORDER BY f.name, u.username;

-- name: followers
SELECT m.root_id, m.user_id, u.username, m.last_viewed_at, m.unread_mentions
FROM thread_members m JOIN users u ON u.id = m.user_id
WHERE m.root_id = ANY($1::text[]) AND m.following ORDER BY m.root_id, u.username;
