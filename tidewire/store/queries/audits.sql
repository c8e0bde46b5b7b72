-- name: insert_audit
INSERT INTO audits (id, create_at, user_id, action, extra_info, ip_address, session_id)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: page_of_audits
SELECT id, create_at, user_id, action, extra_info, ip_address, session_id FROM audits
ORDER BY create_at DESC LIMIT $1 OFFSET $2;

-- name: page_of_audits_of
SELECT id, create_at, user_id, action, extra_info, ip_address, session_id FROM audits
WHERE user_id = $1 ORDER BY create_at DESC LIMIT $2 OFFSET $3;

-- name: delete_old_audits
-- A bounded number at a time; two workers take different rows.
DELETE FROM audits WHERE id IN (
    SELECT id FROM audits WHERE create_at < $1 ORDER BY create_at LIMIT $2 FOR UPDATE SKIP LOCKED);
