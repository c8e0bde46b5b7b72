-- name: statuses_of
-- What was chosen by hand and has not run out ($2: now, s), else what was noted last.
SELECT user_id, status, manual AND (dnd_end_time = 0 OR dnd_end_time > $2) AS manual, last_activity_at,
    dnd_end_time, online_until
FROM statuses WHERE user_id = ANY($1::text[]);

-- name: choose_status
-- By hand, until another is chosen or, at $4 (s, 0: never), it runs out. FOR KEY SHARE: see store/holds.py.
INSERT INTO statuses AS x (user_id, status, manual, last_activity_at, dnd_end_time)
SELECT id, $2, true, $3, $4 FROM users WHERE id = $1 FOR KEY SHARE
ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, manual = true,
    last_activity_at = excluded.last_activity_at, dnd_end_time = excluded.dnd_end_time, online_until = 0;

-- name: choose_online
-- Nothing is chosen any more: sockets decide, but until $3 (ms) he counts as active.
INSERT INTO statuses AS x (user_id, status, last_activity_at, online_until)
SELECT id, 'online', $2, $3 FROM users WHERE id = $1 FOR KEY SHARE
ON CONFLICT (user_id) DO UPDATE SET status = 'online', manual = false, last_activity_at = excluded.last_activity_at,
    dnd_end_time = 0, online_until = excluded.online_until;

-- name: hold_accounts
-- No account is deleted for good until the transaction ends. One lock, as users by the thousand held FOR KEY SHARE cost
-- 17 ms of CPU and up to 2 MB of WAL per 1,000 rather than 11 ms and nothing (7 ms without either).
SELECT pg_advisory_xact_lock_shared(7813011342);

-- name: await_presence
-- By who deletes accounts that he holds FOR UPDATE: presence that is just written is seen then, and the next waits.
SELECT pg_advisory_xact_lock(7813011342);

-- name: note_presence
-- What sockets showed: user ids, statuses, last activities (ms). Rows in the order of ids; a chosen status stays.
-- It comes late: whoever has no account any more gets none. After hold_accounts, by a statement of its own.
INSERT INTO statuses AS x (user_id, status, last_activity_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) one(user_id, status, at)
WHERE EXISTS (SELECT FROM users u WHERE u.id = one.user_id) ORDER BY user_id COLLATE "C"
ON CONFLICT (user_id) DO UPDATE SET status = CASE WHEN x.manual THEN x.status ELSE excluded.status END,
    last_activity_at = greatest(x.last_activity_at, excluded.last_activity_at),
    online_until = CASE WHEN excluded.status = 'offline' AND x.online_until > 0 THEN 0 ELSE x.online_until END;

-- name: forget_status
-- online_until -1: offline whatever sockets show, until let_online_again.
INSERT INTO statuses (user_id, status, online_until) SELECT one, 'offline', -1 FROM unnest($1::text[]) one ORDER BY one COLLATE "C"
ON CONFLICT (user_id) DO UPDATE SET status = 'offline', manual = false, dnd_end_time = 0, online_until = -1;

-- name: let_online_again
UPDATE statuses SET online_until = 0 WHERE user_id = $1 AND online_until < 0;

-- name: lead_sweep
-- One sweeper at a time in the whole installation, until the end of its transaction.
SELECT pg_try_advisory_xact_lock(7813011338);

-- name: end_dnd
-- $1 now (s), $2 how many at most; whoever chooses anew just now is left to himself.
UPDATE statuses SET status = 'offline', manual = false, dnd_end_time = 0 WHERE user_id IN (
    SELECT user_id FROM statuses WHERE dnd_end_time > 0 AND dnd_end_time <= $1
    ORDER BY dnd_end_time LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING user_id;
