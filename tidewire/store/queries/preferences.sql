-- name: preferences_of
-- $2 a category or '', $3 a name or ''.
SELECT user_id, category, name, value FROM preferences
WHERE user_id = $1 AND ($2::text = '' OR category = $2) AND ($3::text = '' OR name = $3) ORDER BY category, name;

-- name: preference_values
SELECT user_id, value FROM preferences WHERE user_id = ANY($1::text[]) AND category = $2 AND name = $3;

-- name: put_preferences
INSERT INTO preferences (user_id, category, name, value)
SELECT $1, g.category, g.name, g.value FROM unnest($2::text[], $3::text[], $4::text[]) g(category, name, value)
ORDER BY g.category, g.name
ON CONFLICT (user_id, category, name) DO UPDATE SET value = excluded.value;

-- name: size_of_preferences
-- In bytes; what a row costs beside its text counts as 64.
SELECT coalesce(sum(octet_length(category) + octet_length(name) + octet_length(value) + 64), 0)::bigint FROM preferences
WHERE user_id = $1;

-- name: delete_preferences
DELETE FROM preferences p USING unnest($2::text[], $3::text[]) g(category, name)
WHERE p.user_id = $1 AND p.category = g.category AND p.name = g.name;

-- name: channels_of_posts
SELECT id, channel_id FROM posts WHERE id = ANY($1::text[]) AND delete_at = 0;
