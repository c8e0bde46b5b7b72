-- name: insert_one_time_token
INSERT INTO one_time_tokens (token_hash, kind, user_id, email, expires_at, extra) VALUES ($1, $2, $3, $4, $5, $6);

-- name: insert_tokens_for_emails
INSERT INTO one_time_tokens (token_hash, kind, user_id, email, expires_at, extra)
SELECT g.hash, $3, '', g.email, $4, $5 FROM unnest($1::bytea[], $2::text[]) g(hash, email);

-- name: delete_expired_tokens
-- A bounded number on the way of each insert: the table holds what the last day made.
DELETE FROM one_time_tokens WHERE token_hash IN (
    SELECT token_hash FROM one_time_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT 100
    FOR UPDATE SKIP LOCKED);

-- name: peek_one_time_token
SELECT kind, user_id, email, expires_at, extra FROM one_time_tokens WHERE token_hash = $1 AND kind = $2;

-- name: take_one_time_token
-- Whoever deletes the row has the token: of a hundred at once exactly one.
DELETE FROM one_time_tokens WHERE token_hash = $1 AND kind = $2 RETURNING kind, user_id, email, expires_at, extra;

-- name: delete_tokens_of_user
DELETE FROM one_time_tokens WHERE user_id = $1 AND ($2::text = '' OR kind = $2);
