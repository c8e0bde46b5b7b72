-- name: queue_mails
-- $1 kind, $2 now (ms), $3 sealed messages, $4 how many may wait at most. Returns how many were taken: all or none.
INSERT INTO mails (kind, created_at, next_at, sealed)
SELECT $1, $2, $2, sealed FROM unnest($3::bytea[]) sealed
WHERE (SELECT count(*) FROM (SELECT FROM mails LIMIT $4) AS few) < $4
RETURNING id;

-- name: claim_mails
-- $1 now, $2 when others may take over, $3 how many. Two workers never get the same.
UPDATE mails m SET next_at = $2, attempts = m.attempts + 1 FROM (
    SELECT id FROM mails WHERE next_at <= $1 ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED) due
WHERE m.id = due.id RETURNING m.id, m.kind, m.created_at, m.attempts, m.sealed;

-- name: put_off_mail
UPDATE mails SET next_at = $2 WHERE id = $1;

-- name: delete_mail
DELETE FROM mails WHERE id = $1;
