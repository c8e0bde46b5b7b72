-- name: insert_terms
INSERT INTO terms_of_service (id, create_at, user_id, text) VALUES ($1, $2, $3, $4);

-- name: latest_terms
SELECT id, create_at, user_id, text FROM terms_of_service ORDER BY create_at DESC, id DESC LIMIT 1;

-- name: terms_exist
SELECT EXISTS (SELECT FROM terms_of_service WHERE id = $1);
