-- Reading. Old versions of edited posts are rows with original_id <> ''; no list shows them. A flag as last parameter
-- but one takes deleted posts in, the last one leaves replies out. Order is (create_at, id) everywhere: ids break ties.

-- name: by_ids
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM posts p LEFT JOIN threads t ON t.root_id = p.id
WHERE p.id = ANY($1::text[]) AND p.original_id = '' AND (p.delete_at = 0 OR $2);

-- name: page
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM posts p LEFT JOIN threads t ON t.root_id = p.id
WHERE p.channel_id = $1 AND p.original_id = '' AND (p.delete_at = 0 OR $4) AND (p.root_id = '' OR NOT $5)
ORDER BY p.create_at DESC, p.id DESC LIMIT $2 OFFSET $3;

-- name: pinned
-- The newest, up to $3 bytes of text and props; one at least.
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM (SELECT w.*, sum(octet_length(w.message) + octet_length(w.props::text)) OVER (ORDER BY w.create_at DESC, w.id DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM (SELECT * FROM posts WHERE channel_id = $1 AND is_pinned AND original_id = '' AND delete_at = 0
        ORDER BY create_at DESC, id DESC LIMIT $2) w) p
LEFT JOIN threads t ON t.root_id = p.id
WHERE coalesce(p.before, 0) <= $3::bigint ORDER BY p.create_at DESC, p.id DESC;

-- name: before
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM posts p LEFT JOIN threads t ON t.root_id = p.id
WHERE p.channel_id = $1 AND p.original_id = '' AND (p.create_at, p.id) < ($4, $5)
    AND (p.delete_at = 0 OR $6) AND (p.root_id = '' OR NOT $7)
ORDER BY p.create_at DESC, p.id DESC LIMIT $2 OFFSET $3;

-- name: after
-- Oldest first: the ones nearest to the cursor.
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM posts p LEFT JOIN threads t ON t.root_id = p.id
WHERE p.channel_id = $1 AND p.original_id = '' AND (p.create_at, p.id) > ($4, $5)
    AND (p.delete_at = 0 OR $6) AND (p.root_id = '' OR NOT $7)
ORDER BY p.create_at, p.id LIMIT $2 OFFSET $3;

-- name: first_of
-- The first of the ids $1, up to $2 bytes of text and props; one at least.
SELECT w.id FROM (SELECT p.id, g.n, sum(octet_length(p.message) + octet_length(p.props::text)) OVER (ORDER BY g.n
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM unnest($1::text[]) WITH ORDINALITY g(id, n) JOIN posts p ON p.id = g.id) w
WHERE coalesce(w.before, 0) <= $2::bigint ORDER BY w.n;

-- name: since
-- The latest changes, up to $5 bytes of text and props; one at least.
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, t.reply_count, t.last_reply_at, t.participants
FROM (SELECT w.*, sum(octet_length(w.message) + octet_length(w.props::text)) OVER (ORDER BY w.update_at DESC, w.id DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM (SELECT * FROM posts WHERE channel_id = $1 AND original_id = '' AND update_at > $2 AND (root_id = '' OR NOT $4)
        ORDER BY update_at DESC LIMIT $3) w) p
LEFT JOIN threads t ON t.root_id = p.id
WHERE coalesce(p.before, 0) <= $5::bigint;

-- name: replies_down
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, NULL::bigint AS reply_count, NULL::bigint AS last_reply_at, NULL::text[] AS participants
FROM posts p
WHERE p.root_id = $1 AND p.root_id <> '' AND p.original_id = '' AND (p.create_at, p.id) > ($2, $3)
    AND (p.delete_at = 0 OR $4)
ORDER BY p.create_at, p.id LIMIT $5;

-- name: replies_up
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, NULL::bigint AS reply_count, NULL::bigint AS last_reply_at, NULL::text[] AS participants
FROM posts p
WHERE p.root_id = $1 AND p.root_id <> '' AND p.original_id = '' AND (p.create_at, p.id) < ($2, $3)
    AND (p.delete_at = 0 OR $4)
ORDER BY p.create_at DESC, p.id DESC LIMIT $5;

-- name: replies_updated
-- In the order of their last changes: who pages through them goes on at the last one's.
SELECT p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id,
    p.original_id, p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions,
    p.priority, NULL::bigint AS reply_count, NULL::bigint AS last_reply_at, NULL::text[] AS participants
FROM posts p
WHERE p.root_id = $1 AND p.root_id <> '' AND p.original_id = '' AND (p.update_at, p.id) > ($2, $3)
    AND (p.delete_at = 0 OR $4)
ORDER BY p.update_at, p.id LIMIT $5;

-- name: reply_ids
-- Oldest first; $5: in the order of their last changes. From (time, id) = ($2, $3) on; with $6 up to there.
SELECT id FROM (SELECT p.id, CASE WHEN $5 THEN p.update_at ELSE p.create_at END AS at FROM posts p
    WHERE p.root_id = $1 AND p.root_id <> '' AND p.original_id = '' AND (p.delete_at = 0 OR $4)) r
WHERE CASE WHEN $6 THEN (r.at, r.id) < ($2, $3) ELSE (r.at, r.id) > ($2, $3) END ORDER BY r.at, r.id;

-- name: neighbours
-- The ids next to a stretch of a channel: newer than (create_at, id) = ($2, $3), older than ($4, $5).
SELECT
    (SELECT p.id FROM posts p WHERE p.channel_id = $1 AND p.original_id = '' AND p.delete_at = 0
        AND (p.root_id = '' OR NOT $6) AND (p.create_at, p.id) > ($2, $3) ORDER BY p.create_at, p.id LIMIT 1) AS newer,
    (SELECT p.id FROM posts p WHERE p.channel_id = $1 AND p.original_id = '' AND p.delete_at = 0
        AND (p.root_id = '' OR NOT $6) AND (p.create_at, p.id) < ($4, $5)
        ORDER BY p.create_at DESC, p.id DESC LIMIT 1) AS older;

-- name: cursor
SELECT create_at FROM posts WHERE id = $1 AND channel_id = $2;

-- name: first_unread
SELECT p.id, p.create_at FROM posts p
WHERE p.channel_id = $1 AND p.original_id = '' AND p.delete_at = 0 AND p.create_at > $2 AND (p.root_id = '' OR NOT $3)
ORDER BY p.create_at, p.id LIMIT 1;

-- name: read_state
SELECT last_viewed_at FROM channel_members WHERE channel_id = $1 AND user_id = $2;

-- name: event_numbers
SELECT (SELECT event_n FROM channels WHERE id = $1) AS n, (SELECT event_n FROM users WHERE id = $2) AS own_n;

-- name: channel_users
SELECT user_id FROM channel_members WHERE channel_id = $1 ORDER BY user_id LIMIT $2;

-- Changing one post. Whoever changes a post holds its row until commit, so that its states are announced in their order.

-- name: lock
-- Read the row after this, by a statement of its own: this one may have waited with an old snapshot of the thread.
SELECT 1 FROM posts WHERE id = $1 AND original_id = '' AND delete_at = 0 FOR NO KEY UPDATE;

-- name: keep_version
-- What changes is to be found by its new words.
WITH later AS (INSERT INTO post_search_todo (post_id) VALUES ($1) ON CONFLICT DO NOTHING)
INSERT INTO posts (id, create_at, update_at, edit_at, delete_at, is_pinned, user_id, channel_id, root_id, original_id,
    message, type, props, hashtags, file_ids, has_reactions)
SELECT $2, create_at, $3, edit_at, $3, is_pinned, user_id, channel_id, root_id, id, message, type, props, hashtags,
    file_ids, has_reactions
FROM posts WHERE id = $1;

-- name: update_post
UPDATE posts SET message = $2, props = $3, hashtags = $4, is_pinned = $5, edit_at = $6, update_at = $7, file_ids = $8
WHERE id = $1;

-- name: delete_thread
-- The post and, where it is a root, its replies, with their files. Roots are locked before their replies; nothing locks
-- two roots' replies.
WITH gone AS (
    UPDATE posts SET delete_at = $2, update_at = greatest(update_at + 1, $2),
        props = props || jsonb_build_object('deleteBy', $3::text)
    WHERE (id = $1 OR (root_id = $1 AND root_id <> '')) AND original_id = '' AND delete_at = 0
    RETURNING id, file_ids
)
UPDATE files SET delete_at = $2, update_at = $2
WHERE delete_at = 0 AND post_id IN (SELECT id FROM gone WHERE file_ids <> '{}');

-- name: end_thread
-- The row stays for those who ask which of their threads were deleted; its followers count nothing of it any more.
UPDATE threads SET delete_at = $2, reply_count = 0, participants = '{}' WHERE root_id = $1;

-- name: await_followers
-- Until those who are being told of the thread have been told: what they hear after its end must not bring it back.
SELECT user_id FROM thread_members WHERE root_id = $1 AND following ORDER BY user_id FOR NO KEY UPDATE;

-- name: event_numbers_of
SELECT id, event_n FROM users WHERE id = ANY($1::text[]) AND event_n > 0 ORDER BY id;

-- name: lock_thread
SELECT root_id FROM threads WHERE root_id = $1 FOR NO KEY UPDATE;

-- name: recount_thread
-- Counted again rather than reduced: the last reply's time and the participants cannot be undone otherwise. Participants
-- stand in the order of their first reply.
UPDATE threads t SET reply_count = c.replies, last_reply_at = c.last_at, participants = c.users
FROM (
    SELECT coalesce(sum(u.replies), 0) AS replies, coalesce(max(u.last_at), 0) AS last_at,
        coalesce(array_agg(u.user_id ORDER BY u.first_at, u.user_id), '{}') AS users
    FROM (
        SELECT user_id, count(*) AS replies, max(create_at) AS last_at, min(create_at) AS first_at FROM posts
        WHERE root_id = $1 AND root_id <> '' AND original_id = '' AND delete_at = 0 GROUP BY user_id
    ) u
) c
WHERE t.root_id = $1;
