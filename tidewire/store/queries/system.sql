-- name: keep_value
-- The first writer's value stays, whoever asks.
INSERT INTO system (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: value_of
SELECT value FROM system WHERE name = $1;

-- name: ping
SELECT 1;
