-- name: sessions_by_hash
-- Sessions that may be used now, for a batch of sockets. $2: now, ms; expires_at 0 = never.
SELECT s.token_hash, s.id, s.user_id, s.expires_at, s.is_oauth
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ANY($1::bytea[]) AND (s.expires_at = 0 OR s.expires_at > $2) AND u.delete_at = 0;

-- name: memberships
-- What a batch of users hears and where each key stands: one statement, so one snapshot. Deleted users have no row.
-- Archived channels are in: their members are told when they come back.
SELECT u.id, u.roles, u.event_n, c.ids AS channel_ids, c.ns AS channel_ns, t.ids AS team_ids, t.ns AS team_ns
FROM users u
LEFT JOIN LATERAL (
    SELECT array_agg(x.id) AS ids, array_agg(x.event_n) AS ns
    FROM channel_members m JOIN channels x ON x.id = m.channel_id WHERE m.user_id = u.id
) c ON true
LEFT JOIN LATERAL (
    SELECT array_agg(x.id) AS ids, array_agg(x.event_n) AS ns
    FROM team_members m JOIN teams x ON x.id = m.team_id WHERE m.user_id = u.id AND m.delete_at = 0
) t ON true
WHERE u.id = ANY($1::text[]) AND u.delete_at = 0;

-- name: numbers
-- The last announcement's number of each key; keys are "c:<id>", "t:<id>", "u:<id>".
SELECT 'c:' || id AS key, event_n FROM channels WHERE id = ANY($1::text[])
UNION ALL SELECT 't:' || id, event_n FROM teams WHERE id = ANY($2::text[])
UNION ALL SELECT 'u:' || id, event_n FROM users WHERE id = ANY($3::text[]);
