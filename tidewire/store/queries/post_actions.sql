-- name: put_actions
INSERT INTO post_actions (post_id, action_id, channel_id, user_id, integration, expires_at)
SELECT $1, g.action_id, $2, $3, g.integration, $4 FROM unnest($5::text[], $6::jsonb[]) g(action_id, integration)
ORDER BY g.action_id
ON CONFLICT (post_id, action_id) DO UPDATE SET integration = excluded.integration;

-- name: delete_old_actions
DELETE FROM post_actions WHERE (post_id, action_id) IN (
    SELECT post_id, action_id FROM post_actions WHERE expires_at > 0 AND expires_at <= $1
    ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED);

-- name: post_action
SELECT channel_id, user_id, integration FROM post_actions
WHERE post_id = $1 AND action_id = $2 AND (expires_at = 0 OR expires_at > $3);
