-- Files of posts. A file is written once; later only post_id and delete_at change.

-- part: columns
id, user_id, channel_id, post_id, create_at, update_at, delete_at, name, extension, size, mime_type, shown_as, width, height,
    thumbnail, preview, mini_preview, sha256, key

-- name: by_ids
SELECT {columns} FROM files WHERE id = ANY($1::text[]) AND (delete_at = 0 OR $2);

-- name: of_post
SELECT {columns} FROM files WHERE post_id = $1 AND post_id <> '' AND (delete_at = 0 OR $2) ORDER BY create_at, id;

-- name: insert
INSERT INTO files ({columns})
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
    $9::text[], $10::bigint[], $11::text[], $12::text[], $13::int[], $14::int[], $15::text[], $16::text[], $17::bytea[],
    $18::bytea[], $19::text[]);

-- name: attach
-- To a post that the caller of this holds. A file is attached by its uploader, in its channel, once.
UPDATE files SET post_id = $2, update_at = $5
WHERE id = ANY($1::text[]) AND user_id = $3 AND channel_id = $4 AND post_id = '' AND delete_at = 0
RETURNING id;

-- name: detach
UPDATE files SET delete_at = $3, update_at = $3 WHERE post_id = $1 AND id = ANY($2::text[]) AND delete_at = 0;

-- name: restore
UPDATE files SET delete_at = 0, update_at = $3 WHERE post_id = $1 AND id = ANY($2::text[]) AND delete_at > 0 RETURNING id;

-- name: count_in_channel
SELECT count(*) FROM files WHERE channel_id = $1 AND post_id <> '' AND delete_at = 0;

-- name: doom
INSERT INTO doomed_objects (key, at) SELECT u, $2 FROM unnest($1::text[]) u ON CONFLICT (key) DO UPDATE SET at = excluded.at;

-- name: hasten
UPDATE doomed_objects SET at = least(at, $2) WHERE key = ANY($1::text[]);

-- name: spare
DELETE FROM doomed_objects WHERE key = ANY($1::text[]) RETURNING key;

-- name: take_doomed
-- SKIP LOCKED: janitors of several processes share the work. A file whose row was committed, though its writer never heard
-- of it, is needed: keys end with the file's id, those of smaller pictures with a dot and a word more.
WITH gone AS (
    DELETE FROM doomed_objects WHERE key IN (
        SELECT key FROM doomed_objects WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING key
)
SELECT gone.key, EXISTS (SELECT 1 FROM files f
    WHERE f.id = right(split_part(gone.key, '.', 1), 26) AND f.key = split_part(gone.key, '.', 1)) AS needed FROM gone;

-- name: doom_of_channels
-- The objects of channels whose rows go away for good, with what the search knows of them.
WITH gone AS (DELETE FROM files WHERE id IN (SELECT id FROM files WHERE channel_id = ANY($1::text[]) LIMIT $3)
    RETURNING id, key, thumbnail, preview),
    of_search AS (DELETE FROM file_search s USING gone WHERE s.file_id = gone.id),
    doomed AS (
        INSERT INTO doomed_objects (key, at)
        SELECT key, $2::bigint FROM gone
        UNION ALL SELECT key || '.thumbnail', $2 FROM gone WHERE thumbnail <> ''
        UNION ALL SELECT key || '.preview', $2 FROM gone WHERE preview <> ''
        ON CONFLICT DO NOTHING)
SELECT id FROM gone;
