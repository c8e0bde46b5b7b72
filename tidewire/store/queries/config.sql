-- name: revisions
SELECT name, n FROM revisions;

-- name: bump_revision
-- Locks the number, so that two writers of the same thing follow each other.
UPDATE revisions SET n = n + 1 WHERE name = $1 RETURNING n;

-- name: config
-- The number and the values of one moment; one row without a key while nothing is stored.
SELECT r.n, c.key, c.value FROM revisions r LEFT JOIN config c ON true WHERE r.name = 'config';

-- name: put_config
INSERT INTO config (key, value)
SELECT key, value::jsonb FROM unnest($1::text[], $2::text[]) AS given (key, value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: delete_config
DELETE FROM config WHERE key = ANY($1::text[]);

-- name: roles
SELECT r.n, o.name, o.permissions, o.update_at FROM revisions r LEFT JOIN roles o ON true WHERE r.name = 'roles';

-- name: put_role
INSERT INTO roles (name, permissions, update_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET permissions = excluded.permissions, update_at = excluded.update_at;
