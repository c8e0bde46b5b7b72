-- name: categories_of
SELECT id, user_id, team_id, sort_order, sorting, type, display_name, muted, collapsed FROM sidebar_categories
WHERE user_id = $1 AND team_id = $2 ORDER BY sort_order, id;

-- name: placed_channels
-- The user's live channels of the team and D and G, with their place where they have one, in one snapshot.
SELECT c.id, c.team_id, s.category_id, s.sort_order, coalesce(p.value = 'true', false) AS favorite
FROM channel_members m JOIN channels c ON c.id = m.channel_id
LEFT JOIN sidebar_channels s ON s.user_id = $1 AND s.team_id = $2 AND s.channel_id = c.id
LEFT JOIN preferences p ON p.user_id = $1 AND p.category = 'favorite_channel' AND p.name = c.id
WHERE m.user_id = $1 AND c.team_id IN ($2, '') AND c.delete_at = 0
ORDER BY s.sort_order NULLS LAST, c.display_name, c.id;

-- name: put_categories
-- Built-in ones keep their type and name: only what a user may change is overwritten.
INSERT INTO sidebar_categories (id, user_id, team_id, sort_order, sorting, type, display_name, muted, collapsed)
SELECT g.id, $1, $2, g.sort_order, g.sorting, g.type, g.display_name, g.muted, g.collapsed
FROM unnest($3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::bool[], $9::bool[])
    g(id, sort_order, sorting, type, display_name, muted, collapsed) ORDER BY g.id
ON CONFLICT (id) DO UPDATE SET sort_order = excluded.sort_order, sorting = excluded.sorting,
    display_name = excluded.display_name, muted = excluded.muted, collapsed = excluded.collapsed;

-- name: delete_category
DELETE FROM sidebar_categories WHERE id = $1 AND user_id = $2;

-- name: empty_categories
-- $3 categories, $4 channels that are about to get another place.
DELETE FROM sidebar_channels WHERE user_id = $1 AND team_id = $2
    AND (category_id = ANY($3::text[]) OR channel_id = ANY($4::text[]));

-- name: place_channels
INSERT INTO sidebar_channels (user_id, team_id, channel_id, category_id, sort_order)
SELECT $1, $2, g.channel_id, g.category_id, g.sort_order
FROM unnest($3::text[], $4::text[], $5::int[]) g(channel_id, category_id, sort_order) ORDER BY g.channel_id
ON CONFLICT (user_id, team_id, channel_id) DO UPDATE SET category_id = excluded.category_id,
    sort_order = excluded.sort_order;

-- name: forget_channels_of
DELETE FROM sidebar_channels WHERE user_id = $1 AND channel_id = ANY($2::text[]);

-- name: forget_channel
DELETE FROM sidebar_channels WHERE channel_id = $1;

-- name: forget_team_channels
DELETE FROM sidebar_channels WHERE user_id = $1 AND team_id = $2;

-- name: forget_team_categories
DELETE FROM sidebar_categories WHERE user_id = $1 AND team_id = $2;
