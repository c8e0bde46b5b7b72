-- What was found at addresses, and what posts show of it.

-- name: known
-- $1: hashes; $2, $3: since when something and nothing found still count.
SELECT hash, type, data FROM link_metadata
WHERE hash = ANY($1::bytea[]) AND fetched_at >= CASE type WHEN 'none' THEN $3::bigint ELSE $2 END;

-- name: keep
-- In the order of hashes, as every other worker. An older answer does not replace a newer one.
INSERT INTO link_metadata (hash, url, fetched_at, type, data)
SELECT hash, url, $3::bigint, type, data FROM unnest($1::bytea[], $2::text[], $4::text[], $5::text[]) AS new(hash, url, type, data)
ORDER BY hash
ON CONFLICT (hash) DO UPDATE SET fetched_at = excluded.fetched_at, type = excluded.type, data = excluded.data
WHERE link_metadata.fetched_at <= excluded.fetched_at;

-- name: prune
DELETE FROM link_metadata WHERE hash IN (
    SELECT hash FROM link_metadata WHERE fetched_at < $1 ORDER BY fetched_at LIMIT $2 FOR UPDATE SKIP LOCKED
);

-- name: of_posts
SELECT post_id, preview FROM post_previews WHERE post_id = ANY($1::text[]);

-- name: put
-- The post's row is locked by the caller.
INSERT INTO post_previews (post_id, preview) VALUES ($1, $2)
ON CONFLICT (post_id) DO UPDATE SET preview = excluded.preview;

-- name: forget
DELETE FROM post_previews WHERE post_id = $1;
