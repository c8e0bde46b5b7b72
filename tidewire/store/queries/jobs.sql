-- Jobs: one is done at a time, by whichever worker takes it.

-- part: columns
id, type, create_at, start_at, last_activity_at, status, progress, data

-- name: insert
INSERT INTO jobs (id, type, user_id, create_at, data) VALUES ($1, $2, $3, $4, $5);

-- name: find
SELECT {columns} FROM jobs WHERE id = $1;

-- name: page
-- Newest first. $1: a type, $2: a status; '' for any.
SELECT {columns} FROM jobs WHERE ($1::text = '' OR type = $1) AND ($2::text = '' OR status = $2)
ORDER BY create_at DESC, id DESC LIMIT $3 OFFSET $4;

-- name: count_open
SELECT count(*) FROM jobs WHERE status IN ('pending', 'in_progress', 'cancel_requested');

-- name: wait_to_take
-- What another one takes is seen by the next statement only.
SELECT pg_advisory_xact_lock(7813011341);

-- name: take
-- The oldest, unless one is being done.
UPDATE jobs SET status = 'in_progress', start_at = $1, last_activity_at = $1 WHERE id = (
    SELECT id FROM jobs WHERE status = 'pending'
        AND NOT EXISTS (SELECT FROM jobs o WHERE o.status IN ('in_progress', 'cancel_requested'))
    ORDER BY create_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING {columns};

-- name: beat
-- Says that it goes on, and returns whether it should.
UPDATE jobs SET last_activity_at = $2 WHERE id = $1 AND status IN ('in_progress', 'cancel_requested') RETURNING status;

-- name: finish
UPDATE jobs SET status = $2, last_activity_at = $3, progress = CASE $2 WHEN 'success' THEN 100 ELSE progress END,
    data = data || $4
WHERE id = $1 AND status IN ('in_progress', 'cancel_requested');

-- name: put_back
-- Of a worker that stops: another one begins anew.
UPDATE jobs SET status = 'pending', start_at = 0 WHERE id = $1 AND status = 'in_progress';

-- name: give_up
-- Those whose worker died; $1: when it was last heard of, at most.
UPDATE jobs SET status = 'error', data = data || $2
WHERE status IN ('in_progress', 'cancel_requested') AND last_activity_at < $1;

-- name: cancel
UPDATE jobs SET status = CASE status WHEN 'pending' THEN 'canceled' ELSE 'cancel_requested' END
WHERE id = $1 AND status IN ('pending', 'in_progress') RETURNING id;
