-- Import of files. Where it stands moves on in the transaction of what it wrote; see docs/migration.md.

-- name: hold
-- One import at a time in the whole installation, as long as this connection lives.
SELECT pg_try_advisory_lock(7813011340);

-- name: begin
INSERT INTO imports (digest, name, started_at, updated_at, report) VALUES ($1, $2, $3, $3, $4) ON CONFLICT (digest) DO NOTHING;

-- name: progress
SELECT line, at_byte, finished_at, started_at, report FROM imports WHERE digest = $1;

-- name: advance
-- Only from where the caller believes it to be.
UPDATE imports SET line = $3, at_byte = $4, report = $5, updated_at = $6 WHERE digest = $1 AND line = $2 RETURNING line;

-- name: finish
WITH gone AS (DELETE FROM import_channels WHERE digest = $1)
UPDATE imports SET finished_at = $2, updated_at = $2 WHERE digest = $1;

-- name: touch_channels
INSERT INTO import_channels (digest, channel_id) SELECT $1, u FROM unnest($2::text[]) u ORDER BY u
ON CONFLICT (digest, channel_id) DO UPDATE SET counted = false WHERE import_channels.counted;

-- name: uncounted_channels
SELECT channel_id FROM import_channels WHERE digest = $1 AND NOT counted ORDER BY channel_id LIMIT $2;

-- name: set_counted
UPDATE import_channels SET counted = true WHERE digest = $1 AND channel_id = ANY($2::text[]);

-- name: connected_members
-- A page of the users with a session who are in a channel that was touched.
SELECT u.id FROM users u
WHERE u.id > $2 AND EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id AND (s.expires_at = 0 OR s.expires_at > $3))
    AND EXISTS (SELECT FROM channel_members m JOIN import_channels i ON i.digest = $1 AND i.channel_id = m.channel_id
        WHERE m.user_id = u.id)
ORDER BY u.id LIMIT $4;

-- Names.

-- name: teams_by_names
SELECT id, name FROM teams WHERE name = ANY($1::text[]);

-- name: channels_by_names
SELECT c.id, c.team_id, c.name, c.type FROM channels c JOIN unnest($1::text[], $2::text[]) g(team_id, name)
ON c.team_id = g.team_id AND c.name = g.name;

-- name: people_by_names
SELECT id, username, roles, is_bot FROM users WHERE username = ANY($1::text[]);

-- Places.

-- name: put_team
INSERT INTO teams (id, create_at, update_at, name, display_name, type, description, allow_open_invite, invite_id)
VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8);

-- name: team_rows
SELECT id, name, display_name, type, description, allow_open_invite FROM teams WHERE name = ANY($1::text[]);

-- name: change_team
UPDATE teams SET display_name = $2, type = $3, description = $4, allow_open_invite = $5, update_at = greatest(update_at + 1, $6)
WHERE id = $1;

-- name: put_channels
INSERT INTO channels (id, create_at, update_at, delete_at, team_id, type, name, display_name, header, purpose)
SELECT g.id, $2, $2, g.delete_at, g.team_id, g.type, g.name, g.display_name, g.header, g.purpose
FROM unnest($1::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
    g(id, delete_at, team_id, type, name, display_name, header, purpose) ORDER BY g.team_id, g.name;

-- name: channel_rows
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.header, c.purpose, c.delete_at
FROM channels c JOIN unnest($1::text[], $2::text[]) g(team_id, name) ON c.team_id = g.team_id AND c.name = g.name;

-- name: change_channels
WITH own AS (SELECT id FROM channels WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE channels c SET display_name = g.display_name, header = g.header, purpose = g.purpose, delete_at = g.delete_at,
    update_at = greatest(c.update_at + 1, $6)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) g(id, display_name, header, purpose, delete_at)
JOIN own ON own.id = g.id WHERE c.id = g.id;

-- name: set_headers
-- Of direct and group channels.
WITH own AS (SELECT id FROM channels WHERE id = ANY($2::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE channels c SET header = g.header, update_at = greatest(c.update_at + 1, $1)
FROM unnest($2::text[], $3::text[]) g(id, header) JOIN own ON own.id = g.id WHERE c.id = g.id AND c.header <> g.header;

-- People.

-- name: accounts
-- Those who have one of these names or addresses.
SELECT u.id, u.username, u.email, u.delete_at, u.nickname, u.first_name, u.last_name, u.position, u.roles, u.locale, u.props,
    u.notify_props, u.timezone, u.auth_service, u.auth_data, u.email_verified, u.password_hash, u.is_bot, u.bot_description,
    u.last_password_update, b.owner_id
FROM users u LEFT JOIN bots b ON b.user_id = u.id WHERE u.username = ANY($1::text[]) OR u.email = ANY($2::text[]);

-- name: put_accounts
-- In the order of ids, as everybody locks several of them.
INSERT INTO users AS x (id, create_at, update_at, delete_at, username, email, password_hash, auth_data, auth_service,
    email_verified, nickname, first_name, last_name, position, roles, props, notify_props, locale, timezone, is_bot,
    bot_description, last_password_update)
SELECT g.id, $2, $2, g.delete_at, g.username, g.email, g.password_hash, g.auth_data, g.auth_service, g.email_verified,
    g.nickname, g.first_name, g.last_name, g.position, g.roles, g.props::jsonb, g.notify_props::jsonb, g.locale,
    g.timezone::jsonb, g.is_bot, g.bot_description, g.password_at
FROM unnest($1::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::text[],
    $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::boolean[],
    $20::text[], $21::bigint[])
    g(id, delete_at, username, email, password_hash, auth_data, auth_service, email_verified, nickname, first_name, last_name,
    position, roles, props, notify_props, locale, timezone, is_bot, bot_description, password_at) ORDER BY g.id
ON CONFLICT (id) DO UPDATE SET update_at = greatest(x.update_at + 1, excluded.update_at), delete_at = excluded.delete_at,
    email = excluded.email, password_hash = excluded.password_hash, auth_data = excluded.auth_data,
    auth_service = excluded.auth_service, email_verified = excluded.email_verified, nickname = excluded.nickname,
    first_name = excluded.first_name, last_name = excluded.last_name, position = excluded.position, roles = excluded.roles,
    props = excluded.props, notify_props = excluded.notify_props, locale = excluded.locale, timezone = excluded.timezone,
    bot_description = excluded.bot_description, last_password_update = excluded.last_password_update;

-- name: put_bots
INSERT INTO bots AS x (user_id, owner_id, create_at, update_at, delete_at)
SELECT g.user_id, g.owner_id, $1, $1, g.delete_at
FROM unnest($2::text[], $3::text[], $4::bigint[]) g(user_id, owner_id, delete_at) ORDER BY g.user_id
ON CONFLICT (user_id) DO UPDATE SET owner_id = excluded.owner_id, delete_at = excluded.delete_at,
    update_at = greatest(x.update_at + 1, excluded.update_at);

-- name: put_team_members
INSERT INTO team_members AS x (team_id, user_id, create_at, explicit_roles, scheme_guest, scheme_user, scheme_admin)
SELECT g.team_id, g.user_id, $1, g.explicit, g.guest, g.is_user, g.admin
FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::boolean[])
    g(team_id, user_id, explicit, guest, is_user, admin) ORDER BY g.team_id, g.user_id
ON CONFLICT (team_id, user_id) DO UPDATE SET delete_at = 0, explicit_roles = excluded.explicit_roles,
    scheme_guest = excluded.scheme_guest, scheme_user = excluded.scheme_user, scheme_admin = excluded.scheme_admin
WHERE (x.delete_at, x.explicit_roles, x.scheme_guest, x.scheme_user, x.scheme_admin)
    <> (0, excluded.explicit_roles, excluded.scheme_guest, excluded.scheme_user, excluded.scheme_admin)
RETURNING team_id;

-- name: put_channel_members
-- viewed_at NULL: he has read all that is there, and all that the import brings ($1 is its time). Else his counts follow
-- when all posts are in (count_read). Of a member who is there already the later time of reading holds.
INSERT INTO channel_members AS x (channel_id, user_id, explicit_roles, last_viewed_at, msg_count, msg_count_root,
    mention_count, mention_count_root, urgent_mention_count, notify_props, last_update_at, scheme_guest, scheme_user,
    scheme_admin)
SELECT g.channel_id, g.user_id, g.explicit, coalesce(g.viewed_at, $1),
    CASE WHEN g.viewed_at IS NULL THEN c.total_msg_count ELSE 0 END,
    CASE WHEN g.viewed_at IS NULL THEN c.total_msg_count_root ELSE 0 END,
    g.mentions, g.mentions_root, g.urgent, g.props::jsonb, $1, g.guest, g.is_user, g.admin
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
    $10::boolean[], $11::boolean[], $12::boolean[])
    g(channel_id, user_id, explicit, viewed_at, mentions, mentions_root, urgent, props, guest, is_user, admin)
JOIN channels c ON c.id = g.channel_id
ORDER BY g.channel_id, g.user_id
ON CONFLICT (channel_id, user_id) DO UPDATE SET explicit_roles = excluded.explicit_roles,
    notify_props = x.notify_props || excluded.notify_props,
    mention_count = CASE WHEN excluded.last_viewed_at > x.last_viewed_at THEN excluded.mention_count ELSE x.mention_count END,
    mention_count_root = CASE WHEN excluded.last_viewed_at > x.last_viewed_at THEN excluded.mention_count_root
        ELSE x.mention_count_root END,
    urgent_mention_count = CASE WHEN excluded.last_viewed_at > x.last_viewed_at THEN excluded.urgent_mention_count
        ELSE x.urgent_mention_count END,
    last_viewed_at = greatest(x.last_viewed_at, excluded.last_viewed_at),
    scheme_guest = excluded.scheme_guest, scheme_user = excluded.scheme_user, scheme_admin = excluded.scheme_admin,
    last_update_at = greatest(x.last_update_at, excluded.last_update_at);

-- name: put_direct_members
-- Of D and G: who is there already stays as he is.
INSERT INTO channel_members (channel_id, user_id, last_viewed_at, msg_count, msg_count_root, notify_props, last_update_at,
    scheme_guest, scheme_user)
SELECT g.channel_id, g.user_id, $1, c.total_msg_count, c.total_msg_count_root, $4, $1, h.guest, NOT h.guest
FROM unnest($2::text[], $3::text[]) g(channel_id, user_id) JOIN channels c ON c.id = g.channel_id
JOIN users u ON u.id = g.user_id, LATERAL (SELECT 'system_guest' = ANY(string_to_array(u.roles, ' ')) AS guest) h
ORDER BY g.channel_id, g.user_id
ON CONFLICT (channel_id, user_id) DO NOTHING;

-- name: put_choices
INSERT INTO preferences AS x (user_id, category, name, value)
SELECT g.user_id, g.category, g.name, g.value
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) g(user_id, category, name, value)
ORDER BY g.user_id, g.category, g.name
ON CONFLICT (user_id, category, name) DO UPDATE SET value = excluded.value WHERE x.value <> excluded.value;

-- name: drop_emoji
-- Before one of the same name takes its place.
WITH gone AS (UPDATE emojis SET delete_at = $2, update_at = $2 WHERE name = $1 AND delete_at = 0 RETURNING id)
DELETE FROM emoji_images i USING gone WHERE i.emoji_id = gone.id;

-- name: emoji_image
SELECT i.data FROM emojis e JOIN emoji_images i ON i.emoji_id = e.id WHERE e.name = $1 AND e.delete_at = 0;

-- Posts.

-- name: posts_at
-- What is written already at these moments, deleted posts too.
SELECT p.id, p.channel_id, p.create_at, p.user_id, p.root_id, p.message, p.edit_at, p.delete_at, p.file_ids, p.is_pinned
FROM unnest($1::text[], $2::bigint[]) g(channel_id, create_at)
JOIN posts p ON p.channel_id = g.channel_id AND p.create_at = g.create_at AND p.original_id = '';

-- name: put_posts
INSERT INTO posts (id, create_at, update_at, edit_at, is_pinned, user_id, channel_id, root_id, message, type, props, hashtags,
    file_ids, has_reactions, priority)
SELECT g.id, g.at, $1, g.edit_at, g.pinned, g.user_id, g.channel_id, g.root_id, g.message, g.type, g.props::jsonb, g.hashtags,
    string_to_array(g.file_ids, ','), g.reacted, g.priority
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::boolean[], $15::text[])
    g(id, at, edit_at, pinned, user_id, channel_id, root_id, message, type, props, hashtags, file_ids, reacted, priority);

-- name: change_posts
-- Posts that were imported before, as they are now.
WITH own AS (SELECT id FROM posts WHERE id = ANY($2::text[]) ORDER BY id FOR NO KEY UPDATE),
    later AS (INSERT INTO post_search_todo (post_id) SELECT id FROM own ON CONFLICT DO NOTHING)
UPDATE posts p SET message = CASE WHEN g.edited THEN g.message ELSE p.message END,
    props = CASE WHEN g.edited THEN g.props::jsonb ELSE p.props END,
    hashtags = CASE WHEN g.edited THEN g.hashtags ELSE p.hashtags END, edit_at = greatest(p.edit_at, g.edit_at),
    is_pinned = g.pinned, file_ids = p.file_ids || string_to_array(g.file_ids, ','),
    update_at = greatest(p.update_at + 1, $1)
FROM unnest($2::text[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::boolean[], $9::text[])
    g(id, edited, message, props, hashtags, edit_at, pinned, file_ids)
JOIN own ON own.id = g.id WHERE p.id = g.id;

-- name: touch_posts
WITH own AS (SELECT id FROM posts WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE posts p SET update_at = greatest(p.update_at + 1, $2), has_reactions = EXISTS (
    SELECT FROM reactions r WHERE r.post_id = p.id)
FROM own WHERE p.id = own.id;

-- name: put_threads
INSERT INTO threads AS x (root_id, channel_id, reply_count, last_reply_at, participants)
SELECT g.id, g.channel_id, g.replies, g.at, string_to_array(g.participants, ',')
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[]) g(id, channel_id, replies, at, participants)
ORDER BY g.id
ON CONFLICT (root_id) DO UPDATE SET reply_count = x.reply_count + excluded.reply_count,
    last_reply_at = greatest(x.last_reply_at, excluded.last_reply_at),
    participants = CASE WHEN excluded.participants <@ x.participants THEN x.participants
        ELSE x.participants || ARRAY(SELECT o.u FROM unnest(excluded.participants) WITH ORDINALITY o(u, i)
            WHERE o.u <> ALL (x.participants) ORDER BY o.i) END;

-- name: put_followers
-- Members of the channel only. Who follows already, or chose not to, keeps that.
INSERT INTO thread_members AS x (root_id, user_id, channel_id, followed_at, last_viewed_at, unread_mentions, last_update_at)
SELECT g.root_id, g.user_id, g.channel_id, g.viewed_at, g.viewed_at, g.mentions, $1
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[]) g(root_id, user_id, channel_id, viewed_at, mentions)
JOIN channel_members m ON m.channel_id = g.channel_id AND m.user_id = g.user_id
ORDER BY g.root_id, g.user_id
ON CONFLICT (root_id, user_id) DO UPDATE SET last_viewed_at = greatest(x.last_viewed_at, excluded.last_viewed_at)
WHERE x.last_viewed_at < excluded.last_viewed_at;

-- name: put_reactions
INSERT INTO reactions (post_id, user_id, emoji_name, channel_id, create_at)
SELECT g.post_id, g.user_id, g.emoji_name, g.channel_id, g.at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) g(post_id, user_id, emoji_name, channel_id, at)
ON CONFLICT DO NOTHING RETURNING post_id;

-- name: put_post_actions
INSERT INTO post_actions (post_id, action_id, channel_id, integration)
SELECT g.post_id, g.action_id, g.channel_id, g.integration::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) g(post_id, action_id, channel_id, integration)
ON CONFLICT (post_id, action_id) DO UPDATE SET integration = excluded.integration;

-- name: add_to_channels
WITH own AS (SELECT id FROM channels WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE channels c SET total_msg_count = c.total_msg_count + g.posts, total_msg_count_root = c.total_msg_count_root + g.roots,
    last_post_at = greatest(c.last_post_at, g.at), last_root_post_at = greatest(c.last_root_post_at, g.root_at)
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) g(id, posts, roots, at, root_at)
JOIN own ON own.id = g.id WHERE c.id = g.id;

-- name: count_read
-- Read states of channels: unread is what came after a member's last look. In one pass over the posts that are newer than
-- the oldest of these. $2: types that do not count.
WITH behind AS (
    SELECT m.channel_id, m.user_id, m.last_viewed_at AS at FROM channel_members m JOIN channels c ON c.id = m.channel_id
    WHERE m.channel_id = ANY($1::text[]) AND m.last_viewed_at < c.last_post_at
), newer AS (
    SELECT p.channel_id, p.create_at AS at, (p.root_id = '')::int AS root
    FROM (SELECT channel_id, min(at) AS at FROM behind GROUP BY channel_id) b
    JOIN posts p ON p.channel_id = b.channel_id AND p.create_at > b.at
    WHERE p.original_id = '' AND p.delete_at = 0 AND p.type <> ALL($2::text[])
), counted AS (
    SELECT channel_id, user_id, sum(one) OVER w AS unread, sum(root) OVER w AS unread_root
    FROM (SELECT channel_id, user_id, at, 0 AS one, 0 AS root FROM behind
        UNION ALL SELECT channel_id, NULL, at, 1, root FROM newer) x
    WINDOW w AS (PARTITION BY channel_id ORDER BY at DESC, user_id IS NULL ROWS UNBOUNDED PRECEDING)
), own AS (
    SELECT m.channel_id, m.user_id FROM channel_members m WHERE m.channel_id = ANY($1::text[])
    ORDER BY m.channel_id, m.user_id FOR NO KEY UPDATE
)
UPDATE channel_members m SET
    msg_count = greatest(m.msg_count, c.total_msg_count - coalesce(n.unread, 0)),
    msg_count_root = greatest(m.msg_count_root, c.total_msg_count_root - coalesce(n.unread_root, 0))
FROM own JOIN channels c ON c.id = own.channel_id
LEFT JOIN counted n ON n.channel_id = own.channel_id AND n.user_id = own.user_id
WHERE m.channel_id = own.channel_id AND m.user_id = own.user_id
    AND (m.msg_count < c.total_msg_count - coalesce(n.unread, 0)
        OR m.msg_count_root < c.total_msg_count_root - coalesce(n.unread_root, 0));
