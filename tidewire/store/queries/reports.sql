-- part: filters
-- $1 a system role, $2 in the team, $3 in no team, $4 active only, $5 deactivated only, $6 how a name or the address begins.
NOT u.is_bot
    AND ($1::text = '' OR $1 = ANY(string_to_array(u.roles, ' ')))
    AND ($2::text = '' OR EXISTS (
        SELECT FROM team_members m WHERE m.team_id = $2 AND m.user_id = u.id AND m.delete_at = 0))
    AND (NOT $3::bool OR NOT EXISTS (SELECT FROM team_members m WHERE m.user_id = u.id AND m.delete_at = 0))
    AND (NOT $4::bool OR u.delete_at = 0)
    AND (NOT $5::bool OR u.delete_at > 0)
    AND ($6::text = '' OR starts_with(u.username, $6) OR starts_with(u.email, $6) OR starts_with(lower(u.nickname), $6)
        OR starts_with(lower(u.first_name), $6) OR starts_with(lower(u.last_name), $6))

-- name: page
-- By the column $7, then by id, behind ($8, $9) or from the start ($9 ''); $10: downwards. Reads all accounts.
WITH keyed AS (
    SELECT u.id, (CASE $7::text WHEN 'CreateAt' THEN lpad(u.create_at::text, 20, '0') WHEN 'Email' THEN u.email
            WHEN 'FirstName' THEN u.first_name WHEN 'LastName' THEN u.last_name WHEN 'Nickname' THEN u.nickname
            WHEN 'Roles' THEN u.roles ELSE u.username END) COLLATE "C" AS key
    FROM users u WHERE {filters}
), page AS (
    SELECT id, key FROM keyed
    WHERE $9::text = '' OR CASE WHEN $10::bool THEN (key, id) < ($8::text, $9) ELSE (key, id) > ($8, $9) END
    ORDER BY CASE WHEN $10 THEN key END DESC, CASE WHEN $10 THEN id END DESC, key, id
    LIMIT $11
)
SELECT page.id, coalesce(s.last_activity_at, 0) AS last_status_at
FROM page LEFT JOIN statuses s ON s.user_id = page.id
ORDER BY CASE WHEN $10 THEN key END DESC, CASE WHEN $10 THEN page.id END DESC, key, page.id;

-- name: count
SELECT count(*) FROM users u WHERE {filters};
