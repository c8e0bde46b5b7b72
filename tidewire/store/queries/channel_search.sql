-- name: found_in_team
-- $1 team, $2 term, $3 user; $4 public ones, $5 those the user is in, $6 all; $7 live ones, $8 archived ones.
-- The words hold the team's id. Materialized, and without the team's own index: the plan must go by the words.
WITH c AS MATERIALIZED (
    SELECT * FROM channels
    WHERE team_id <> '' AND channel_words(team_id, name, display_name, purpose) @@ channel_query($1, $2))
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at
FROM c
WHERE ($6::bool OR ($4::bool AND c.type = 'O')
        OR ($5::bool AND EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $3)))
    AND CASE WHEN c.delete_at = 0 THEN $7::bool ELSE $8::bool END
ORDER BY c.display_name, c.id LIMIT $9 OFFSET $10;

-- name: listed_in_team
-- As found_in_team without a term, in the order of an index: $1 team, $2 user; $3 public, $4 own, $5 all; $6 live, $7 archived.
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at
FROM channels c
WHERE c.team_id <> '' AND c.team_id = $1
    AND ($5::bool OR ($3::bool AND c.type = 'O')
        OR ($4::bool AND EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $2)))
    AND CASE WHEN c.delete_at = 0 THEN $6::bool ELSE $7::bool END
ORDER BY c.display_name, c.id LIMIT $8 OFFSET $9;

-- name: archived_in_team
-- $1 team, $2 user, $3 all and not only public and own ones.
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at
FROM channels c
WHERE c.team_id <> '' AND c.team_id = $1 AND c.delete_at > 0
    AND ($3::bool OR c.type = 'O'
        OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $2))
ORDER BY c.display_name, c.id LIMIT $4 OFFSET $5;

-- name: public_by_ids
-- $3 '' or a user: only those he is in.
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at
FROM channels c WHERE c.id = ANY($2::text[]) AND c.team_id = $1 AND c.type = 'O' AND c.delete_at = 0
    AND ($3::text = '' OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $3))
ORDER BY c.display_name, c.id;

-- name: own_matching
-- $1 user, $2 team, $3 a pattern for LIKE. A direct channel has the name of the other user.
SELECT c.id, c.team_id, c.type, c.name, CASE WHEN c.type = 'D' THEN o.username ELSE c.display_name END AS display_name,
    c.create_at, c.update_at, c.delete_at, c.header, c.purpose, c.last_post_at, c.total_msg_count, c.creator_id, c.props,
    c.total_msg_count_root, c.last_root_post_at
FROM channel_members m JOIN channels c ON c.id = m.channel_id
LEFT JOIN users o ON c.type = 'D' AND o.id = CASE WHEN split_part(c.name, '__', 1) = $1 THEN split_part(c.name, '__', 2)
    ELSE split_part(c.name, '__', 1) END
WHERE m.user_id = $1 AND c.team_id IN ($2, '')
    AND (lower(c.display_name) LIKE $3 OR o.username LIKE $3 OR (c.type <> 'D' AND c.name LIKE $3))
ORDER BY 5, c.id LIMIT $4;

-- name: own_groups_matching
-- $1 user, $2 patterns for LIKE: each must fit a member's username.
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at
FROM channel_members m JOIN channels c ON c.id = m.channel_id AND c.type = 'G'
WHERE m.user_id = $1 AND NOT EXISTS (
    SELECT FROM unnest($2::text[]) wanted WHERE NOT EXISTS (
        SELECT FROM channel_members o JOIN users u ON u.id = o.user_id
        WHERE o.channel_id = c.id AND u.username LIKE wanted))
ORDER BY c.display_name, c.id LIMIT $3;

-- name: found_anywhere
-- $1 term; $2 teams or {}; $3 public, $4 private ones; $5 live, $6 archived ones; $7 without the default channels; $8 an
-- id or ''; $9 a user or '': then only public channels of his teams and channels he is in.
WITH c AS MATERIALIZED (
    SELECT * FROM channels WHERE team_id <> ''
        AND (id = $8 OR channel_words(team_id, name, display_name, purpose) @@ channel_query('', $1)))
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at,
    t.display_name AS team_display_name, t.name AS team_name, t.update_at AS team_update_at, count(*) OVER () AS total
FROM c JOIN teams t ON t.id = c.team_id
WHERE (cardinality($2::text[]) = 0 OR c.team_id = ANY($2))
    AND CASE WHEN c.type = 'O' THEN $3::bool ELSE $4::bool END
    AND CASE WHEN c.delete_at = 0 THEN $5::bool ELSE $6::bool END
    AND (NOT $7::bool OR c.name NOT IN ('town-square', 'off-topic'))
    AND ($9::text = '' OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $9)
        OR (c.type = 'O' AND EXISTS (SELECT FROM team_members tm WHERE tm.team_id = c.team_id AND tm.user_id = $9
            AND tm.delete_at = 0 AND NOT tm.scheme_guest)))
ORDER BY c.display_name, c.id LIMIT $10 OFFSET $11;

-- name: listed_anywhere
-- As found_anywhere without a term and an id: $1 teams … $7 the user.
SELECT c.id, c.team_id, c.type, c.name, c.display_name, c.create_at, c.update_at, c.delete_at, c.header, c.purpose,
    c.last_post_at, c.total_msg_count, c.creator_id, c.props, c.total_msg_count_root, c.last_root_post_at,
    t.display_name AS team_display_name, t.name AS team_name, t.update_at AS team_update_at
FROM channels c JOIN teams t ON t.id = c.team_id
WHERE c.team_id <> ''
    AND (cardinality($1::text[]) = 0 OR c.team_id = ANY($1))
    AND CASE WHEN c.type = 'O' THEN $2::bool ELSE $3::bool END
    AND CASE WHEN c.delete_at = 0 THEN $4::bool ELSE $5::bool END
    AND (NOT $6::bool OR c.name NOT IN ('town-square', 'off-topic'))
    AND ($7::text = '' OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $7)
        OR (c.type = 'O' AND EXISTS (SELECT FROM team_members tm WHERE tm.team_id = c.team_id AND tm.user_id = $7
            AND tm.delete_at = 0 AND NOT tm.scheme_guest)))
ORDER BY c.display_name, c.id LIMIT $8 OFFSET $9;

-- name: count_anywhere
-- Parameters as in listed_anywhere.
SELECT count(*)
FROM channels c
WHERE c.team_id <> ''
    AND (cardinality($1::text[]) = 0 OR c.team_id = ANY($1))
    AND CASE WHEN c.type = 'O' THEN $2::bool ELSE $3::bool END
    AND CASE WHEN c.delete_at = 0 THEN $4::bool ELSE $5::bool END
    AND (NOT $6::bool OR c.name NOT IN ('town-square', 'off-topic'))
    AND ($7::text = '' OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $7)
        OR (c.type = 'O' AND EXISTS (SELECT FROM team_members tm WHERE tm.team_id = c.team_id AND tm.user_id = $7
            AND tm.delete_at = 0 AND NOT tm.scheme_guest)));

-- name: member_counts
-- Active accounts only. $2 '' or a user: a channel that he may not know of is missing.
SELECT c.id, (SELECT count(*) FROM channel_members m JOIN users u ON u.id = m.user_id AND u.delete_at = 0
    WHERE m.channel_id = c.id) AS members
FROM channels c
WHERE c.id = ANY($1::text[]) AND ($2::text = ''
    OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = c.id AND m.user_id = $2)
    OR (c.type = 'O' AND EXISTS (SELECT FROM team_members tm WHERE tm.team_id = c.team_id AND tm.user_id = $2
        AND tm.delete_at = 0 AND NOT tm.scheme_guest)));

-- name: timezones
SELECT DISTINCT zone FROM channel_members m JOIN users u ON u.id = m.user_id AND u.delete_at = 0, LATERAL (
    SELECT CASE WHEN u.timezone ->> 'useAutomaticTimezone' = 'true' THEN u.timezone ->> 'automaticTimezone'
        ELSE u.timezone ->> 'manualTimezone' END AS zone) z
WHERE m.channel_id = $1 AND zone <> '' ORDER BY zone;
