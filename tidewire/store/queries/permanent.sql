-- Deleting a user or a channel for good. First the user or everybody leaves, which is announced; then the rows go.

-- name: leave_teams
WITH own AS (SELECT team_id FROM team_members WHERE user_id = $1 ORDER BY team_id FOR UPDATE)
DELETE FROM team_members m USING own WHERE m.team_id = own.team_id AND m.user_id = $1
RETURNING m.team_id, m.delete_at = 0 AS live;

-- name: unfollow_all
DELETE FROM thread_members WHERE user_id = $1 RETURNING root_id, channel_id;

-- name: leave_channels
-- The inner SELECT takes the locks in the order of posts.
WITH own AS (SELECT channel_id FROM channel_members WHERE user_id = $1 ORDER BY channel_id FOR UPDATE)
DELETE FROM channel_members m USING own WHERE m.channel_id = own.channel_id AND m.user_id = $1 RETURNING m.channel_id;

-- name: end_of_posts
-- Posts have no index by author: they are walked through by id, a slice at a time. $1: after which, $2: how many.
SELECT max(id) FROM (SELECT id FROM posts WHERE id > $1 ORDER BY id LIMIT $2) AS slice;

-- name: lock_posts_of
-- $1 < id <= $2, $3 the author.
SELECT id FROM posts WHERE id > $1 AND id <= $2 AND user_id = $3 ORDER BY id FOR UPDATE;

-- name: lock_posts_with
-- The posts $1, with what answers those that are roots, and with earlier versions. Roots are locked before their replies.
WITH told AS (SELECT unnest($1::text[]) AS id UNION
        SELECT r.id FROM posts r WHERE r.root_id = ANY($1::text[]) AND r.root_id <> '')
SELECT id, root_id FROM posts WHERE id IN (SELECT id FROM told UNION
    SELECT v.id FROM posts v JOIN told ON v.original_id = told.id WHERE v.original_id <> '') ORDER BY id FOR UPDATE;

-- name: lock_some_posts
-- Some at a time, so that no statement takes long.
SELECT id FROM posts WHERE id IN (SELECT id FROM posts WHERE channel_id = ANY($1::text[]) LIMIT $2) ORDER BY id FOR UPDATE;

-- name: delete_posts
-- And all that names them. After they were locked: whoever holds one to write what names it was waited for, and is seen.
WITH gone AS (SELECT unnest($1::text[]) AS id),
    of_threads AS (DELETE FROM threads t USING gone WHERE t.root_id = gone.id),
    of_followers AS (DELETE FROM thread_members t USING gone WHERE t.root_id = gone.id),
    of_reactions AS (DELETE FROM reactions r USING gone WHERE r.post_id = gone.id),
    of_search AS (DELETE FROM post_search s USING gone WHERE s.post_id = gone.id),
    of_reminders AS (DELETE FROM post_reminders r USING gone WHERE r.post_id = gone.id),
    of_acknowledgements AS (DELETE FROM post_acknowledgements k USING gone WHERE k.post_id = gone.id),
    of_actions AS (DELETE FROM post_actions a USING gone WHERE a.post_id = gone.id),
    of_previews AS (DELETE FROM post_previews v USING gone WHERE v.post_id = gone.id),
    of_awaited AS (DELETE FROM awaited_previews a USING gone WHERE a.post_id = gone.id)
DELETE FROM posts p USING gone WHERE p.id = gone.id;

-- name: lock_threads
SELECT 1 FROM threads WHERE root_id = ANY($1::text[]) ORDER BY root_id FOR NO KEY UPDATE;

-- name: recount_threads
-- As recount_thread in posts.sql, for many; after lock_threads.
UPDATE threads t SET reply_count = c.replies, last_reply_at = c.last_at, participants = c.users
FROM unnest($1::text[]) one(root_id), LATERAL (
    SELECT coalesce(sum(u.replies), 0) AS replies, coalesce(max(u.last_at), 0) AS last_at,
        coalesce(array_agg(u.user_id ORDER BY u.first_at, u.user_id), '{}') AS users
    FROM (
        SELECT user_id, count(*) AS replies, max(create_at) AS last_at, min(create_at) AS first_at FROM posts
        WHERE root_id = one.root_id AND root_id <> '' AND original_id = '' AND delete_at = 0 GROUP BY user_id
    ) u
) c
WHERE t.root_id = one.root_id AND t.delete_at = 0;

-- name: doom_of_posts
-- The objects of files whose posts are gone.
WITH gone AS (DELETE FROM files WHERE post_id = ANY($1::text[]) AND post_id <> '' RETURNING id, key, thumbnail, preview),
    of_search AS (DELETE FROM file_search s USING gone WHERE s.file_id = gone.id)
INSERT INTO doomed_objects (key, at)
SELECT key, $2::bigint FROM gone
UNION ALL SELECT key || '.thumbnail', $2 FROM gone WHERE thumbnail <> ''
UNION ALL SELECT key || '.preview', $2 FROM gone WHERE preview <> ''
ON CONFLICT DO NOTHING;

-- name: end_of_reactions
SELECT max(post_id) FROM (SELECT post_id FROM reactions WHERE post_id > $1 ORDER BY post_id LIMIT $2) AS slice;

-- name: lock_reacted
SELECT id FROM posts WHERE id IN (SELECT post_id FROM reactions WHERE post_id > $1 AND post_id <= $2 AND user_id = $3)
ORDER BY id FOR NO KEY UPDATE;

-- name: delete_reactions_of
-- After lock_reacted: others who react just now were waited for, and are seen.
WITH gone AS (DELETE FROM reactions WHERE post_id > $1 AND post_id <= $2 AND user_id = $3 RETURNING post_id)
UPDATE posts p SET has_reactions = false FROM (SELECT DISTINCT post_id FROM gone) one
WHERE p.id = one.post_id
    AND NOT EXISTS (SELECT FROM reactions r WHERE r.post_id = p.id AND r.user_id <> $3);

-- name: lock_accounts
-- By a statement of its own: whoever holds a user to write what is his own is waited for, and then seen.
SELECT 1 FROM users WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE;

-- name: delete_own
-- All that is the users' own; audits of what they did too. They have left everything: memberships are of those who added them
-- meanwhile.
WITH teams_ AS (DELETE FROM team_members WHERE user_id = ANY($1::text[])),
    memberships_ AS (DELETE FROM channel_members WHERE user_id = ANY($1::text[])),
    threads_ AS (DELETE FROM thread_members WHERE user_id = ANY($1::text[])),
    preferences_ AS (DELETE FROM preferences WHERE user_id = ANY($1::text[])),
    channels_ AS (DELETE FROM sidebar_channels WHERE user_id = ANY($1::text[])),
    categories_ AS (DELETE FROM sidebar_categories WHERE user_id = ANY($1::text[])),
    drafts_ AS (DELETE FROM drafts WHERE user_id = ANY($1::text[])),
    reminders_ AS (DELETE FROM post_reminders WHERE user_id = ANY($1::text[])),
    acknowledgements_ AS (DELETE FROM post_acknowledgements WHERE user_id = ANY($1::text[])),
    statuses_ AS (DELETE FROM statuses WHERE user_id = ANY($1::text[])),
    tokens_ AS (DELETE FROM user_access_tokens WHERE user_id = ANY($1::text[])),
    -- Their apps stay, for those who use them; what they granted to any goes with their sessions.
    authorized_ AS (DELETE FROM oauth_authorized WHERE user_id = ANY($1::text[])),
    codes_ AS (DELETE FROM oauth_codes WHERE user_id = ANY($1::text[])),
    one_time_ AS (DELETE FROM one_time_tokens WHERE user_id = ANY($1::text[])),
    -- The janitor ends them, and deletes the objects that they hold.
    uploads_ AS (UPDATE upload_sessions SET create_at = 0 WHERE user_id = ANY($1::text[])),
    pending_ AS (DELETE FROM pending_posts WHERE user_id = ANY($1::text[])),
    incoming_ AS (DELETE FROM incoming_webhooks WHERE user_id = ANY($1::text[])),
    outgoing_ AS (DELETE FROM outgoing_webhooks WHERE creator_id = ANY($1::text[])),
    commands_ AS (DELETE FROM commands WHERE creator_id = ANY($1::text[])),
    bots_ AS (DELETE FROM bots WHERE user_id = ANY($1::text[])),
    pictures_ AS (DELETE FROM pictures WHERE owner_id = ANY($1::text[]))
DELETE FROM audits WHERE user_id = ANY($1::text[]);

-- name: delete_accounts
DELETE FROM users WHERE id = ANY($1::text[]);

-- name: lock_channels
-- Whoever writes what belongs to them holds them, and is waited for.
SELECT 1 FROM channels WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE;

-- name: delete_of_channels
-- Everybody has left them: memberships are of those who joined meanwhile.
WITH members_ AS (DELETE FROM channel_members WHERE channel_id = ANY($1::text[])),
    sidebar_ AS (DELETE FROM sidebar_channels WHERE channel_id = ANY($1::text[])),
    drafts_ AS (DELETE FROM drafts WHERE channel_id = ANY($1::text[])),
    incoming_ AS (DELETE FROM incoming_webhooks WHERE channel_id = ANY($1::text[]))
DELETE FROM outgoing_webhooks WHERE channel_id = ANY($1::text[]);

-- name: delete_channels
DELETE FROM channels WHERE id = ANY($1::text[]);
