-- part: words_of_post
-- array_to_tsvector cuts what is longer than a word of the index may be, in the middle of a character.
to_tsvector($1::text::regconfig, search_text(p.message))
    || CASE WHEN p.hashtags = '' THEN '' ELSE array_to_tsvector(ARRAY(SELECT tag
        FROM unnest(string_to_array(lower(p.hashtags), ' ')) tag WHERE octet_length(tag) BETWEEN 1 AND 2046)) END

-- part: words_of_file
to_tsvector($1::text::regconfig, search_text(regexp_replace(f.name, '[^[:alnum:]]+', ' ', 'g') || ' ' || f.name))

-- part: shown
p.id, p.create_at, p.update_at, p.edit_at, p.delete_at, p.is_pinned, p.user_id, p.channel_id, p.root_id, p.original_id,
    p.message, p.type, p.props, p.hashtags, p.file_ids, p.has_reactions, p.priority,
    t.reply_count, t.last_reply_at, t.participants

-- part: file
f.id, f.user_id, f.channel_id, f.post_id, f.create_at, f.update_at, f.delete_at, f.name, f.extension, f.size, f.mime_type,
    f.shown_as, f.width, f.height, f.thumbnail, f.preview, f.mini_preview, f.sha256, f.key

-- name: lead_indexing
-- One indexer at a time in the whole installation, until the end of its transaction.
SELECT pg_try_advisory_xact_lock(7813011339);

-- name: await_lead
SELECT pg_advisory_xact_lock(7813011339);

-- name: go_back
-- An id without its last character is before it.
UPDATE search_state SET newest = left($1, -1) WHERE newest >= $1;

-- name: known_language
SELECT count(*) FROM pg_ts_config WHERE cfgname = $1;

-- name: search_state
SELECT language, newest, checked FROM search_state;

-- name: start_over
INSERT INTO search_state (language, newest, checked) VALUES ($1, '', '')
ON CONFLICT (one) DO UPDATE SET language = excluded.language, newest = '', checked = '';

-- name: forget_posts
TRUNCATE post_search;

-- name: forget_files
TRUNCATE file_search;

-- name: set_state
UPDATE search_state SET newest = $1, checked = $2;

-- name: index_after
-- The posts after an id that are not indexed yet, and their files. Returns how far it came.
WITH due AS (
    SELECT id FROM posts WHERE id > $2 ORDER BY id LIMIT $3
), missing AS (
    SELECT p.id, p.channel_id, p.user_id, p.create_at, p.message, p.hashtags, p.file_ids
    FROM due JOIN posts p ON p.id = due.id
    WHERE NOT EXISTS (SELECT FROM post_search s WHERE s.post_id = due.id)
        AND p.delete_at = 0 AND p.original_id = '' AND p.type NOT LIKE 'system\_%'
), posts_done AS (
    INSERT INTO post_search (post_id, channel_id, user_id, create_at, words)
    SELECT p.id, p.channel_id, p.user_id, p.create_at, {words_of_post} FROM missing p
    ON CONFLICT DO NOTHING RETURNING 1
), files_done AS (
    INSERT INTO file_search (file_id, channel_id, create_at, words)
    SELECT f.id, f.channel_id, f.create_at,
        {words_of_file}
    FROM missing p JOIN files f ON f.post_id = p.id AND f.delete_at = 0 WHERE p.file_ids <> '{}'
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT max(id) FROM due) AS last, (SELECT count(*) FROM due) AS seen,
    (SELECT count(*) FROM posts_done) + (SELECT count(*) FROM files_done) AS indexed;

-- name: index_these
-- Posts that were just written, and their files.
WITH missing AS (
    SELECT p.id, p.channel_id, p.user_id, p.create_at, p.message, p.hashtags, p.file_ids FROM posts p
    WHERE p.id = ANY($2::text[]) AND p.type NOT LIKE 'system\_%'
), posts_done AS (
    INSERT INTO post_search (post_id, channel_id, user_id, create_at, words)
    SELECT p.id, p.channel_id, p.user_id, p.create_at, {words_of_post} FROM missing p
    ON CONFLICT DO NOTHING
)
INSERT INTO file_search (file_id, channel_id, create_at, words)
SELECT f.id, f.channel_id, f.create_at,
    {words_of_file}
FROM missing p JOIN files f ON f.post_id = p.id AND f.delete_at = 0 WHERE p.file_ids <> '{}'
ON CONFLICT DO NOTHING;

-- name: index_again
-- Posts that were changed: words anew, files that came with the change.
WITH gone AS (
    DELETE FROM post_search_todo WHERE post_id IN (
        SELECT post_id FROM post_search_todo ORDER BY post_id LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING post_id
), posts_done AS (
    INSERT INTO post_search (post_id, channel_id, user_id, create_at, words)
    SELECT p.id, p.channel_id, p.user_id, p.create_at, {words_of_post}
    FROM gone JOIN posts p ON p.id = gone.post_id
    WHERE p.delete_at = 0 AND p.original_id = '' AND p.type NOT LIKE 'system\_%'
    ON CONFLICT (post_id) DO UPDATE SET words = excluded.words RETURNING 1
), files_done AS (
    INSERT INTO file_search (file_id, channel_id, create_at, words)
    SELECT f.id, f.channel_id, f.create_at,
        {words_of_file}
    FROM gone JOIN files f ON f.post_id = gone.post_id AND f.delete_at = 0
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS seen, (SELECT count(*) FROM posts_done) + (SELECT count(*) FROM files_done) AS done;

-- name: leave_out
DELETE FROM post_search WHERE post_id = ANY($1::text[]) OR channel_id = ANY($2::text[]);

-- name: drop_gone
-- Rows whose posts or files were deleted for good while they were indexed. $1 < id <= $2, said of both sides: without it the
-- whole of them would be walked through.
WITH of_files AS (
    DELETE FROM file_search s WHERE s.file_id > $1 AND s.file_id <= $2
        AND NOT EXISTS (SELECT FROM files f WHERE f.id = s.file_id AND f.id > $1 AND f.id <= $2)
)
DELETE FROM post_search s WHERE s.post_id > $1 AND s.post_id <= $2
    AND NOT EXISTS (SELECT FROM posts p WHERE p.id = s.post_id AND p.id > $1 AND p.id <= $2);

-- name: unread_files
SELECT {file} FROM file_search s JOIN files f ON f.id = s.file_id WHERE NOT s.read_in ORDER BY s.create_at LIMIT $1;

-- name: add_content
-- Another worker may have read it meanwhile.
UPDATE file_search SET read_in = true, words = words || to_tsvector($1::text::regconfig, search_text($3))
WHERE file_id = $2 AND NOT read_in;

-- name: as_constants
-- What a search compares every row with. $1 language, $2 words (for to_tsquery), $3 hashtags (a tsquery as it is), $4 either
-- of them is enough, $5 what must not be in it; $6 the searcher, whose channels are searched: $7 those of a team and direct
-- ones, or '', $8 archived ones too, $9/$10 only/none of these.
-- By a statement of its own: with them as constants the planner knows how many rows there will be. With the channels as a
-- join it thought of 25 where there were 46,000, and sorted them all rather than read the newest first.
SELECT (CASE WHEN $4 THEN to_tsquery($1::text::regconfig, $2) || $3::text::tsquery
        ELSE to_tsquery($1::text::regconfig, $2) && $3::text::tsquery END)::text AS wanted,
    to_tsquery($1::text::regconfig, $5)::text AS unwanted,
    ARRAY(SELECT c.id FROM channel_members m JOIN channels c ON c.id = m.channel_id
        WHERE m.user_id = $6 AND (c.delete_at = 0 OR $8) AND ($7::text = '' OR c.team_id IN ($7, ''))
            AND ($9::text[] IS NULL OR c.id = ANY($9)) AND ($10::text[] IS NULL OR c.id <> ALL($10))) AS channels;

-- part: conditions
($1::tsquery IS NULL OR s.words @@ $1) AND ($2::tsquery IS NULL OR NOT s.words @@ $2)
    AND s.channel_id = ANY($3::text[]) AND s.create_at >= $6 AND s.create_at < $7
    AND ($8::bigint[] IS NULL OR NOT EXISTS (SELECT FROM unnest($8::bigint[], $9::bigint[]) AS day (begins, ends)
        WHERE s.create_at >= day.begins AND s.create_at < day.ends))

-- name: find_posts
-- $1 what must, $2 what must not be in it (tsquery), $3 in these channels, $4/$5 only by/not by these users, $6 at or after,
-- $7 before (ms), $8/$9 not between these times (begins, ends), $10/$11 limit, offset.
-- null: no such condition. Planned with its values: a rare word wants the index of words, a common one the newest first.
SELECT {shown}
FROM post_search s
    JOIN posts p ON p.id = s.post_id AND p.delete_at = 0
    LEFT JOIN threads t ON t.root_id = p.id
WHERE {conditions}
    AND ($4::text[] IS NULL OR s.user_id = ANY($4)) AND ($5::text[] IS NULL OR s.user_id <> ALL($5))
ORDER BY s.create_at DESC, s.post_id DESC LIMIT $10 OFFSET $11;

-- name: find_files
-- As find_posts; $12/$13 only/none of these extensions.
SELECT {file}
FROM file_search s
    JOIN files f ON f.id = s.file_id AND f.delete_at = 0
    JOIN posts p ON p.id = f.post_id AND p.delete_at = 0
WHERE {conditions}
    AND ($4::text[] IS NULL OR f.user_id = ANY($4)) AND ($5::text[] IS NULL OR f.user_id <> ALL($5))
    AND ($12::text[] IS NULL OR f.extension = ANY($12)) AND ($13::text[] IS NULL OR f.extension <> ALL($13))
ORDER BY s.create_at DESC, s.file_id DESC LIMIT $10 OFFSET $11;

-- name: channels_by_names
SELECT c.id FROM channels c JOIN channel_members m ON m.channel_id = c.id AND m.user_id = $1
WHERE c.name = ANY($2::text[]) AND ($3::text = '' OR c.team_id IN ($3, ''));
