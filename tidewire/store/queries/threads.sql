-- Threads as their followers see them. Unread replies are counted when asked: live ones after last_viewed_at.

-- name: thread_followers
-- Who chose to follow a thread or not, members of its channel only; then the columns of MemberSettings.
SELECT t.following, u.id, u.username, u.first_name, u.notify_props ->> 'mention_keys' AS keywords,
    u.notify_props ->> 'first_name' AS by_first_name, u.notify_props ->> 'channel' AS channel_wide,
    u.notify_props ->> 'desktop' AS desktop, u.notify_props ->> 'desktop_threads' AS desktop_threads,
    m.notify_props ->> 'ignore_channel_mentions' AS ignore_channel_wide, m.notify_props ->> 'mark_unread' AS mark_unread,
    m.notify_props ->> 'desktop' AS channel_desktop, m.notify_props ->> 'desktop_threads' AS channel_desktop_threads,
    m.notify_props ->> 'channel_auto_follow_threads' AS follows_all,
    u.notify_props ->> 'push' AS push, m.notify_props ->> 'push' AS channel_push
FROM thread_members t JOIN channel_members m ON m.channel_id = t.channel_id AND m.user_id = t.user_id
JOIN users u ON u.id = t.user_id
WHERE t.root_id = $1 AND u.delete_at = 0 ORDER BY t.user_id LIMIT $2;

-- name: forget_threads
-- Of one who leaves channels: nothing waits for him there any more. The inner SELECT takes the locks in the posts' order.
WITH own AS (
    SELECT root_id FROM thread_members WHERE user_id = $1 AND channel_id = ANY($2::text[])
    ORDER BY root_id FOR UPDATE)
DELETE FROM thread_members t USING own WHERE t.root_id = own.root_id AND t.user_id = $1
RETURNING t.channel_id, t.root_id;

-- name: forget_threads_of_outsiders
-- Of the members of a channel who are not in a team.
WITH own AS (
    SELECT t.root_id, t.user_id FROM thread_members t JOIN channel_members m ON m.channel_id = $1 AND m.user_id = t.user_id
    WHERE t.channel_id = $1 AND NOT EXISTS (SELECT FROM team_members tm WHERE tm.team_id = $2 AND tm.user_id = t.user_id
        AND tm.delete_at = 0)
    ORDER BY t.root_id, t.user_id FOR UPDATE OF t)
DELETE FROM thread_members t USING own WHERE t.root_id = own.root_id AND t.user_id = own.user_id
RETURNING t.user_id, t.root_id;

-- name: forget_threads_of_team
WITH own AS (
    SELECT t.root_id FROM thread_members t JOIN channels c ON c.id = t.channel_id AND c.team_id = $2
    WHERE t.user_id = $1 ORDER BY t.root_id FOR UPDATE OF t)
DELETE FROM thread_members t USING own WHERE t.root_id = own.root_id AND t.user_id = $1
RETURNING t.channel_id, t.root_id;

-- name: threads_page
-- Followed threads of a team and, unless $3, of D and G; newest reply first, behind the thread $7 if it is not "".
-- $4: deleted ones too. $5: unread ones only. $6: changed since (ms).
SELECT t.root_id, m.channel_id, c.team_id, t.reply_count, t.last_reply_at, t.delete_at, t.participants, m.following,
    m.followed_at, m.last_viewed_at, m.unread_mentions,
    (SELECT count(*) FROM posts p WHERE p.root_id = t.root_id AND p.root_id <> '' AND p.original_id = ''
        AND p.delete_at = 0 AND p.create_at > m.last_viewed_at) AS unread_replies
FROM thread_members m JOIN threads t ON t.root_id = m.root_id JOIN channels c ON c.id = m.channel_id
JOIN channel_members y ON y.channel_id = m.channel_id AND y.user_id = m.user_id
WHERE m.user_id = $1 AND m.following AND (c.team_id = $2 OR (c.team_id = '' AND NOT $3))
    AND CASE WHEN t.delete_at = 0 THEN t.reply_count > 0 ELSE $4 END
    AND (NOT $5 OR t.last_reply_at > m.last_viewed_at) AND (t.last_reply_at >= $6 OR m.last_update_at >= $6)
    AND ($7 = '' OR (t.last_reply_at, t.root_id) < (SELECT x.last_reply_at, x.root_id FROM threads x WHERE x.root_id = $7))
ORDER BY t.last_reply_at DESC, t.root_id DESC LIMIT $8;

-- name: threads_page_after
-- The same in front of the thread $7, nearest first.
SELECT t.root_id, m.channel_id, c.team_id, t.reply_count, t.last_reply_at, t.delete_at, t.participants, m.following,
    m.followed_at, m.last_viewed_at, m.unread_mentions,
    (SELECT count(*) FROM posts p WHERE p.root_id = t.root_id AND p.root_id <> '' AND p.original_id = ''
        AND p.delete_at = 0 AND p.create_at > m.last_viewed_at) AS unread_replies
FROM thread_members m JOIN threads t ON t.root_id = m.root_id JOIN channels c ON c.id = m.channel_id
JOIN channel_members y ON y.channel_id = m.channel_id AND y.user_id = m.user_id
WHERE m.user_id = $1 AND m.following AND (c.team_id = $2 OR (c.team_id = '' AND NOT $3))
    AND CASE WHEN t.delete_at = 0 THEN t.reply_count > 0 ELSE $4 END
    AND (NOT $5 OR t.last_reply_at > m.last_viewed_at) AND (t.last_reply_at >= $6 OR m.last_update_at >= $6)
    AND (t.last_reply_at, t.root_id) > (SELECT x.last_reply_at, x.root_id FROM threads x WHERE x.root_id = $7)
ORDER BY t.last_reply_at, t.root_id LIMIT $8;

-- name: thread_totals
SELECT count(*) AS total, count(*) FILTER (WHERE t.last_reply_at > m.last_viewed_at) AS unread_threads,
    coalesce(sum(m.unread_mentions), 0)::bigint AS unread_mentions,
    coalesce(sum(m.unread_mentions) FILTER (WHERE m.unread_mentions > 0 AND EXISTS (
        SELECT FROM posts r WHERE r.id = m.root_id AND r.priority LIKE 'urgent%')), 0)::bigint AS unread_urgent_mentions
FROM thread_members m JOIN threads t ON t.root_id = m.root_id JOIN channels c ON c.id = m.channel_id
JOIN channel_members y ON y.channel_id = m.channel_id AND y.user_id = m.user_id
WHERE m.user_id = $1 AND m.following AND (c.team_id = $2 OR (c.team_id = '' AND NOT $3))
    AND CASE WHEN t.delete_at = 0 THEN t.reply_count > 0 ELSE $4 END;

-- name: threads_of_members
-- Threads ($1) as these users ($2, one each) see them, who are members of their channels and have a row; a root without
-- replies too.
SELECT m.user_id, m.root_id, m.channel_id, c.team_id, coalesce(t.reply_count, 0) AS reply_count,
    coalesce(t.last_reply_at, 0) AS last_reply_at, coalesce(t.delete_at, 0) AS delete_at,
    coalesce(t.participants, '{}') AS participants, m.following, m.followed_at, m.last_viewed_at, m.unread_mentions,
    (SELECT count(*) FROM posts p WHERE p.root_id = m.root_id AND p.root_id <> '' AND p.original_id = ''
        AND p.delete_at = 0 AND p.create_at > m.last_viewed_at) AS unread_replies
FROM thread_members m JOIN channels c ON c.id = m.channel_id LEFT JOIN threads t ON t.root_id = m.root_id
JOIN channel_members y ON y.channel_id = m.channel_id AND y.user_id = m.user_id
WHERE (m.root_id, m.user_id) IN (SELECT g.root_id, g.user_id FROM unnest($1::text[], $2::text[]) g(root_id, user_id));

-- name: followed
SELECT m.root_id FROM thread_members m
JOIN channel_members y ON y.channel_id = m.channel_id AND y.user_id = m.user_id
WHERE m.root_id = ANY($2::text[]) AND m.user_id = $1 AND m.following;

-- name: hold_followers
-- A page of who follows some threads, from (root, user) = ($2, $3) on, each kept from changing his read state until the
-- transaction ends.
SELECT root_id, user_id FROM thread_members
WHERE root_id = ANY($1::text[]) AND following AND (root_id, user_id) > ($2, $3) ORDER BY root_id, user_id LIMIT $4
FOR NO KEY UPDATE;

-- name: set_following
-- $6: he has read it until then. A new choice counts nothing that was there before.
INSERT INTO thread_members AS x (root_id, user_id, channel_id, following, followed_at, last_update_at, last_viewed_at)
SELECT id, $2, $3, $4, $5, $5, $6 FROM posts WHERE id = $1 FOR KEY SHARE
ON CONFLICT (root_id, user_id) DO UPDATE SET following = excluded.following,
    followed_at = CASE WHEN x.following OR NOT excluded.following THEN x.followed_at ELSE excluded.followed_at END,
    last_update_at = excluded.last_update_at, last_viewed_at = greatest(x.last_viewed_at, excluded.last_viewed_at),
    unread_mentions = 0
RETURNING 1;

-- name: keep_follower
-- Makes sure that there is a row to lock, without changing one, if there is the post.
INSERT INTO thread_members (root_id, user_id, channel_id, following, followed_at, last_update_at)
SELECT id, $2, $3, true, $4, $4 FROM posts WHERE id = $1 FOR KEY SHARE
ON CONFLICT (root_id, user_id) DO NOTHING;

-- name: lock_follower
SELECT 1 FROM thread_members WHERE root_id = $1 AND user_id = $2 FOR NO KEY UPDATE;

-- name: set_thread_read
UPDATE thread_members SET last_viewed_at = $3, unread_mentions = $4, last_update_at = $5, following = true,
    followed_at = CASE WHEN following THEN followed_at ELSE $5 END
WHERE root_id = $1 AND user_id = $2;

-- name: hold_unread_of_team
-- A user's threads in a team, and in D and G, of which he has not read something.
SELECT m.root_id FROM thread_members m JOIN channels c ON c.id = m.channel_id AND c.team_id IN ($2, '')
LEFT JOIN threads t ON t.root_id = m.root_id
WHERE m.user_id = $1 AND m.following AND (m.unread_mentions > 0 OR t.last_reply_at > m.last_viewed_at)
ORDER BY m.root_id FOR NO KEY UPDATE OF m;

-- name: hold_unread_of_channels
SELECT m.root_id FROM thread_members m LEFT JOIN threads t ON t.root_id = m.root_id
WHERE m.user_id = $1 AND m.channel_id = ANY($2::text[]) AND m.following
    AND (m.unread_mentions > 0 OR t.last_reply_at > m.last_viewed_at)
ORDER BY m.root_id FOR NO KEY UPDATE OF m;

-- name: read_threads
UPDATE thread_members SET last_viewed_at = greatest(last_viewed_at, $3), unread_mentions = 0, last_update_at = $3
WHERE root_id = ANY($2::text[]) AND user_id = $1;
