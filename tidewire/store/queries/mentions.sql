-- What decides whom a post mentions: active members of a channel with the settings that are not the default.

-- name: member_settings
-- The first members by id, $2 at most. Columns are what tidewire.store.mentions.MemberSettings names.
SELECT u.id, u.username, u.first_name, u.notify_props ->> 'mention_keys' AS keywords,
    u.notify_props ->> 'first_name' AS by_first_name, u.notify_props ->> 'channel' AS channel_wide,
    u.notify_props ->> 'desktop' AS desktop, u.notify_props ->> 'desktop_threads' AS desktop_threads,
    m.notify_props ->> 'ignore_channel_mentions' AS ignore_channel_wide, m.notify_props ->> 'mark_unread' AS mark_unread,
    m.notify_props ->> 'desktop' AS channel_desktop, m.notify_props ->> 'desktop_threads' AS channel_desktop_threads,
    m.notify_props ->> 'channel_auto_follow_threads' AS follows_all,
    u.notify_props ->> 'push' AS push, m.notify_props ->> 'push' AS channel_push
FROM channel_members m JOIN users u ON u.id = m.user_id
WHERE m.channel_id = $1 AND u.delete_at = 0 AND m.user_id > $3
ORDER BY m.user_id LIMIT $2;

-- name: keyword_settings
-- The same columns, of those only whom words other than @username mention or who follow every thread: by partial indexes.
SELECT u.id, u.username, u.first_name, u.notify_props ->> 'mention_keys' AS keywords,
    u.notify_props ->> 'first_name' AS by_first_name, u.notify_props ->> 'channel' AS channel_wide,
    u.notify_props ->> 'desktop' AS desktop, u.notify_props ->> 'desktop_threads' AS desktop_threads,
    m.notify_props ->> 'ignore_channel_mentions' AS ignore_channel_wide, m.notify_props ->> 'mark_unread' AS mark_unread,
    m.notify_props ->> 'desktop' AS channel_desktop, m.notify_props ->> 'desktop_threads' AS channel_desktop_threads,
    m.notify_props ->> 'channel_auto_follow_threads' AS follows_all,
    u.notify_props ->> 'push' AS push, m.notify_props ->> 'push' AS channel_push
FROM channel_members m JOIN users u ON u.id = m.user_id
WHERE m.channel_id = $1 AND u.delete_at = 0 AND m.user_id = ANY(ARRAY(
    SELECT k.id FROM users k JOIN channel_members y ON y.channel_id = $1 AND y.user_id = k.id
    WHERE k.notify_props ->> 'mention_keys' <> '' OR k.notify_props ->> 'first_name' = 'true'
    UNION SELECT y.user_id FROM channel_members y
    WHERE y.channel_id = $1 AND y.notify_props ->> 'channel_auto_follow_threads' = 'on'));

-- name: settings_of
-- The same columns, of some members.
SELECT u.id, u.username, u.first_name, u.notify_props ->> 'mention_keys' AS keywords,
    u.notify_props ->> 'first_name' AS by_first_name, u.notify_props ->> 'channel' AS channel_wide,
    u.notify_props ->> 'desktop' AS desktop, u.notify_props ->> 'desktop_threads' AS desktop_threads,
    m.notify_props ->> 'ignore_channel_mentions' AS ignore_channel_wide, m.notify_props ->> 'mark_unread' AS mark_unread,
    m.notify_props ->> 'desktop' AS channel_desktop, m.notify_props ->> 'desktop_threads' AS channel_desktop_threads,
    m.notify_props ->> 'channel_auto_follow_threads' AS follows_all,
    u.notify_props ->> 'push' AS push, m.notify_props ->> 'push' AS channel_push
FROM channel_members m JOIN users u ON u.id = m.user_id
WHERE m.channel_id = $1 AND m.user_id = ANY($2::text[]) AND u.delete_at = 0;

-- name: named_members
SELECT u.username, u.id FROM users u JOIN channel_members m ON m.channel_id = $1 AND m.user_id = u.id
WHERE u.username = ANY($2::text[]) AND u.delete_at = 0;

-- name: channels_of_user
SELECT channel_id FROM channel_members WHERE user_id = $1;
