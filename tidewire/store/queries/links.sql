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
WITH awaited AS (DELETE FROM awaited_previews WHERE post_id = $1)
DELETE FROM post_previews WHERE post_id = $1;

-- name: await
-- The post's row is locked by the caller. Whoever looks at what it named before has lost it. $3: when.
INSERT INTO awaited_previews (post_id, worker, at, since) VALUES ($1, $2, $3, $3)
ON CONFLICT (post_id) DO UPDATE SET worker = excluded.worker, at = excluded.at, since = excluded.since, tries = 0;

-- name: end
DELETE FROM awaited_previews WHERE post_id = $1 AND worker = $2 AND at = $3 RETURNING 1;

-- name: end_all
DELETE FROM awaited_previews WHERE post_id = ANY($1::text[]) AND worker = $2 AND at = $3;

-- name: claim
-- Takes over what workers that are gone left, and what this one lost. $1: this worker, $2: what it is looking at, $3: its own
-- are lost if begun before, $4: others' may be taken if begun before, $5: how many at most, $6: tries at most, $7: now.
-- Workers say by a lock that they live, see hold_live in outbox.sql. Without Redis none does: then some are looked at twice,
-- and shown by whoever took them last.
WITH live AS MATERIALIZED (
    SELECT l.objid::bigint AS hash FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 29815
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), lost AS MATERIALIZED (
    SELECT a.post_id FROM awaited_previews a
    WHERE a.tries < $6 AND a.at < $4 AND CASE WHEN a.worker = $1 THEN a.at < $3 AND a.post_id <> ALL($2::text[])
        ELSE NOT EXISTS (SELECT FROM live WHERE live.hash = hashtext(a.worker)::bigint & 4294967295) END
    ORDER BY a.at LIMIT $5 FOR UPDATE SKIP LOCKED
)
UPDATE awaited_previews a SET worker = $1, at = $7, tries = a.tries + 1 FROM lost WHERE a.post_id = lost.post_id
RETURNING a.post_id;

-- name: give_up
-- $1: since when a post may wait, $2: tries at most, $3: when the last of them began at the latest to be over.
DELETE FROM awaited_previews WHERE post_id IN (
    SELECT post_id FROM awaited_previews WHERE since < $1 OR (tries >= $2 AND at < $3)
    ORDER BY post_id FOR UPDATE SKIP LOCKED
);
