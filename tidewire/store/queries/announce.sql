-- name: bump_channels
-- The inner SELECT takes the row locks in id order, whatever the plan.
WITH locked AS (SELECT id FROM channels WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE channels x SET event_n = x.event_n + g.k
FROM unnest($1::text[], $2::int[]) g(id, k), locked l WHERE x.id = g.id AND l.id = g.id
RETURNING x.id, x.event_n;

-- name: bump_teams
WITH locked AS (SELECT id FROM teams WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE teams x SET event_n = x.event_n + g.k
FROM unnest($1::text[], $2::int[]) g(id, k), locked l WHERE x.id = g.id AND l.id = g.id
RETURNING x.id, x.event_n;

-- name: bump_users
WITH locked AS (SELECT id FROM users WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE)
UPDATE users x SET event_n = x.event_n + g.k
FROM unnest($1::text[], $2::int[]) g(id, k), locked l WHERE x.id = g.id AND l.id = g.id
RETURNING x.id, x.event_n;

-- name: insert_outbox
INSERT INTO outbox (created_at, worker, payload, keys, ns, news) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id;
