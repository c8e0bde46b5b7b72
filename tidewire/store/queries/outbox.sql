-- name: hold_live
-- Says that this worker publishes its own rows; ends with the connection. Shared, so that an old connection which the
-- server still believes in does not keep the new one waiting. $1: worker.
SELECT pg_advisory_lock_shared(29815, hashtext($1));

-- name: drop_live
SELECT pg_advisory_unlock_shared(29815, hashtext($1));

-- name: try_lead
-- One session of all workers gets it, and keeps it until it gives it up or its connection ends.
SELECT pg_try_advisory_lock(29816, 0);

-- name: drop_lead
SELECT pg_advisory_unlock(29816, 0);

-- name: orphans
-- Unpublished rows whose worker does not publish them: it is gone, not yet live, or too slow ($1: older than this, ms).
-- In id order, which within one ordering key is the order of the numbers: both are taken under the key's row lock.
SELECT o.id, o.payload, o.keys, o.ns FROM outbox o
WHERE NOT o.published AND (o.created_at < $1 OR NOT EXISTS (
    SELECT FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 29815
        AND l.objid::bigint = hashtext(o.worker)::bigint & 4294967295
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())))
ORDER BY o.id LIMIT $2;

-- name: strays
-- Own unpublished rows older than $2 (ms) that are not in hand ($3): the answer to their commit was lost.
SELECT id, payload, keys, ns FROM outbox
WHERE NOT published AND worker = $1 AND created_at < $2 AND id <> ALL($3::bigint[])
ORDER BY id LIMIT $4;

-- name: retained
-- Every row there is, published or not, for a bus that lost its end.
SELECT id, payload, keys, ns FROM outbox WHERE id > $1 ORDER BY id LIMIT $2;

-- name: newest
-- The last that were published.
SELECT id, payload, keys, ns FROM outbox WHERE published ORDER BY id DESC LIMIT $1;

-- name: mark
UPDATE outbox SET published = true WHERE id = ANY($1::bigint[]) AND NOT published;

-- name: delete_old
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE published AND news IS NULL AND created_at < $1 ORDER BY id LIMIT $2);

-- name: news_told
-- Of what this worker committed before the row $2, and before $3 (ms), all followers have heard.
UPDATE outbox SET news = NULL WHERE news IS NOT NULL AND worker = $1 AND id < $2 AND created_at < $3;

-- name: claim_news
-- Takes over what workers that are gone did not tell, once their announcements are on the bus. The rows stay until all is
-- told, so that another one takes over again. Workers say by a lock that they live, see hold_live.
WITH live AS MATERIALIZED (
    SELECT l.objid::bigint AS hash FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 29815
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), lost AS MATERIALIZED (
    SELECT o.id FROM outbox o WHERE o.news IS NOT NULL AND o.published AND o.worker <> $1
        AND NOT EXISTS (SELECT FROM live WHERE live.hash = hashtext(o.worker)::bigint & 4294967295)
    ORDER BY o.id LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE outbox o SET worker = $1 FROM lost WHERE o.id = lost.id RETURNING o.id, o.news;
