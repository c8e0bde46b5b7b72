-- name: sessions_by_hash
-- Sessions that may be used now, for a batch of sockets. $2: now, ms; expires_at 0 = never.
SELECT s.token_hash, s.id, s.user_id, s.expires_at, s.is_oauth, false AS by_access_token, u.is_bot, u.mfa_active
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ANY($1::bytea[]) AND (s.expires_at = 0 OR s.expires_at > $2) AND u.delete_at = 0
UNION ALL
SELECT t.token_hash, t.id, t.user_id, 0, false, true, u.is_bot, u.mfa_active
FROM user_access_tokens t JOIN users u ON u.id = t.user_id
WHERE t.token_hash = ANY($1::bytea[]) AND t.is_active AND u.delete_at = 0;

-- name: session_ends
-- When sessions end now: activity over HTTP pushes it forward. Those that are over have no row.
SELECT id, expires_at FROM sessions WHERE id = ANY($1::text[]);

-- name: memberships
-- What a batch of users hears and where each key stands: one statement, so one snapshot. Deleted users have no row.
-- Archived channels are in: their members are told when they come back.
-- The keys are one text: to split it costs the reader less than an array of texts. archived: those of archived channels.
SELECT u.id, u.roles, u.event_n, heard.keys, heard.ns, heard.archived
FROM users u
LEFT JOIN LATERAL (
    SELECT string_agg(key, ' ') AS keys, array_agg(n) AS ns, string_agg(key, ' ') FILTER (WHERE gone) AS archived
    FROM (
        SELECT 'c:' || x.id AS key, x.event_n AS n, x.delete_at > 0 AS gone
        FROM channel_members m JOIN channels x ON x.id = m.channel_id WHERE m.user_id = u.id
        UNION ALL
        SELECT 't:' || x.id, x.event_n, false
        FROM team_members m JOIN teams x ON x.id = m.team_id WHERE m.user_id = u.id AND m.delete_at = 0
    ) one
) heard ON true
WHERE u.id = ANY($1::text[]) AND u.delete_at = 0;

-- name: numbers
-- The last announcement's number of each key; keys are "c:<id>", "t:<id>", "u:<id>".
SELECT 'c:' || id AS key, event_n FROM channels WHERE id = ANY($1::text[])
UNION ALL SELECT 't:' || id, event_n FROM teams WHERE id = ANY($2::text[])
UNION ALL SELECT 'u:' || id, event_n FROM users WHERE id = ANY($3::text[]);
