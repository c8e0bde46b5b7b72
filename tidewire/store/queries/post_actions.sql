-- name: put_actions
INSERT INTO post_actions (post_id, action_id, channel_id, user_id, integration, expires_at)
SELECT $1, g.action_id, $2, $3, g.integration, $4 FROM unnest($5::text[], $6::jsonb[]) g(action_id, integration)
ORDER BY g.action_id
ON CONFLICT (post_id, action_id) DO UPDATE SET integration = excluded.integration;

-- name: delete_old_actions
-- Those whose post was written stay for good; it was not if one sent it before, or if the writer died.
WITH old AS (
    SELECT post_id, action_id, EXISTS (SELECT FROM posts p WHERE p.id = a.post_id) AS written
    FROM post_actions a WHERE expires_at > 0 AND expires_at <= $1
    ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
), kept AS (
    UPDATE post_actions a SET expires_at = 0 FROM old
    WHERE old.written AND a.post_id = old.post_id AND a.action_id = old.action_id
)
DELETE FROM post_actions a USING old
WHERE NOT old.written AND a.post_id = old.post_id AND a.action_id = old.action_id;

-- name: post_action
SELECT channel_id, user_id, integration FROM post_actions
WHERE post_id = $1 AND action_id = $2 
    AND (expires_at = 0 OR expires_at > $3 OR EXISTS (SELECT FROM posts p WHERE p.id = $1));
