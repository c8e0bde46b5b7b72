-- name: put_draft
-- What comes last stays, with a later update_at whatever the clocks say. $10, $11: the most that one user may have, and
-- how many bytes of text in those beside this one.
INSERT INTO drafts (user_id, channel_id, root_id, create_at, update_at, message, type, props, file_ids, priority)
SELECT $1, c.id, $3, $4, $4, $5, $6, $7, $8, $9 FROM channels c
WHERE c.id = $2 AND (SELECT count(*) < $10 AND coalesce(sum(octet_length(message) + octet_length(props::text)), 0) <= $11::bigint FROM drafts
    WHERE user_id = $1 AND (channel_id, root_id) <> ($2, $3))
FOR KEY SHARE OF c
ON CONFLICT (user_id, channel_id, root_id) DO UPDATE SET update_at = greatest(excluded.update_at, drafts.update_at + 1),
    message = excluded.message, type = excluded.type, props = excluded.props, file_ids = excluded.file_ids,
    priority = excluded.priority
RETURNING create_at, update_at;

-- name: has_draft
SELECT EXISTS (SELECT FROM drafts WHERE user_id = $1 AND channel_id = $2 AND root_id = $3);

-- name: delete_draft
DELETE FROM drafts WHERE user_id = $1 AND channel_id = $2 AND root_id = $3
RETURNING user_id, channel_id, root_id, create_at, update_at, message, type, props, file_ids, priority;

-- name: drafts_of
-- Those in live channels of the team, and in direct and group channels, whose member the user still is.
SELECT d.user_id, d.channel_id, d.root_id, d.create_at, d.update_at, d.message, d.type, d.props, d.file_ids, d.priority
FROM drafts d
    JOIN channels c ON c.id = d.channel_id AND c.delete_at = 0 AND c.team_id IN ($2, '')
    JOIN channel_members m ON m.channel_id = d.channel_id AND m.user_id = $1
WHERE d.user_id = $1 ORDER BY d.update_at DESC;
