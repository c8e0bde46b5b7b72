-- Threads as their followers see them. Unread replies are counted when asked: live ones after last_viewed_at.

-- name: thread_followers
-- Who chose to follow a thread or not, members of its channel only; then the columns of MemberSettings.
SELECT t.following, u.id, u.username, u.first_name, u.notify_props ->> 'mention_keys' AS keywords,
    u.notify_props ->> 'first_name' AS by_first_name, u.notify_props ->> 'channel' AS channel_wide,
    u.notify_props ->> 'desktop' AS desktop, u.notify_props ->> 'desktop_threads' AS desktop_threads,
    m.notify_props ->> 'ignore_channel_mentions' AS ignore_channel_wide, m.notify_props ->> 'mark_unread' AS mark_unread,
    m.notify_props ->> 'desktop' AS channel_desktop, m.notify_props ->> 'desktop_threads' AS channel_desktop_threads,
    m.notify_props ->> 'channel_auto_follow_threads' AS follows_all
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
