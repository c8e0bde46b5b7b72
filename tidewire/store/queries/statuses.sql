-- name: manual_statuses
-- $2: now in seconds; a do-not-disturb with an end runs out by itself.
SELECT user_id, status, last_activity_at, dnd_end_time FROM statuses
WHERE user_id = ANY($1::text[]) AND manual AND (dnd_end_time = 0 OR dnd_end_time > $2);

-- name: save_manual_status
INSERT INTO statuses AS x (user_id, status, manual, last_activity_at) VALUES ($1, $2, true, $3)
ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, manual = true,
    last_activity_at = excluded.last_activity_at, dnd_end_time = 0;

-- name: clear_manual_status
UPDATE statuses SET manual = false, dnd_end_time = 0 WHERE user_id = $1 AND manual;
