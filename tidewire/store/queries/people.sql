-- part: columns
u.id, username, email, u.create_at, u.update_at, u.delete_at, auth_data, auth_service, email_verified, nickname,
    first_name, last_name, position, u.roles, props, u.notify_props, last_password_update, last_picture_update,
    failed_attempts, locale, timezone, mfa_active, is_bot, bot_description, bot_last_icon_update, terms_of_service_id,
    terms_of_service_create_at

-- part: filters
-- Parameters that all lists share; '' and an empty array filter nothing: $1 in team, $2 not in team, $3 in channel,
-- $4 not in channel, $5 in no team, $6 active only, $7 inactive only, $8 a system role, among others, $9 system roles, $10 roles in
-- team $1, $11 roles in channel $3 (any of these three), $12 who asks, if he sees only whom he shares a channel with.
-- OFFSET 0: without it the planner reads all members of a large channel into a hash to test a hundred.
($1::text = '' OR EXISTS (
        SELECT FROM team_members m WHERE m.team_id = $1 AND m.user_id = u.id AND m.delete_at = 0 OFFSET 0))
    AND ($2::text = '' OR NOT EXISTS (
        SELECT FROM team_members m WHERE m.team_id = $2 AND m.user_id = u.id AND m.delete_at = 0 OFFSET 0))
    AND ($3::text = '' OR EXISTS (SELECT FROM channel_members m WHERE m.channel_id = $3 AND m.user_id = u.id OFFSET 0))
    AND ($4::text = '' OR NOT EXISTS (
        SELECT FROM channel_members m WHERE m.channel_id = $4 AND m.user_id = u.id OFFSET 0))
    AND (NOT $5::bool OR NOT EXISTS (SELECT FROM team_members m WHERE m.user_id = u.id AND m.delete_at = 0 OFFSET 0))
    AND (NOT $6::bool OR u.delete_at = 0)
    AND (NOT $7::bool OR u.delete_at > 0)
    AND ($8::text = '' OR $8 = ANY(string_to_array(u.roles, ' ')))
    AND (cardinality($9::text[]) + cardinality($10::text[]) + cardinality($11::text[]) = 0
        OR CASE WHEN u.roles = 'system_user' THEN 'system_user' = ANY($9)
            ELSE array_remove($9, 'system_user') && string_to_array(u.roles, ' ') END
        OR (cardinality($10) > 0 AND EXISTS (
            SELECT FROM team_members m WHERE m.team_id = $1 AND m.user_id = u.id AND m.delete_at = 0
                AND CASE WHEN m.scheme_admin THEN 'team_admin' WHEN m.scheme_guest THEN 'team_guest'
                    ELSE 'team_user' END = ANY($10) OFFSET 0))
        OR (cardinality($11) > 0 AND EXISTS (
            SELECT FROM channel_members m WHERE m.channel_id = $3 AND m.user_id = u.id
                AND CASE WHEN m.scheme_admin THEN 'channel_admin' WHEN m.scheme_guest THEN 'channel_guest'
                    ELSE 'channel_user' END = ANY($11) OFFSET 0)))

-- part: seen
-- Not needed where the few are looked at, who are those that he sees.
AND ($12::text = '' OR u.id = $12 OR EXISTS (
        SELECT FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
        WHERE own.user_id = $12 AND other.user_id = u.id OFFSET 0))

-- part: words
-- $13 words, each of which a name or, where they may be searched, a full name ($14) or an address ($15) begins with.
AND NOT EXISTS (SELECT FROM unnest($13::text[]) word WHERE NOT (
        starts_with(u.username, lower(word)) OR starts_with(lower(u.nickname), lower(word))
        OR ($14::bool AND (starts_with(lower(u.first_name), lower(word)) OR starts_with(lower(u.last_name), lower(word))))
        OR ($15::bool AND starts_with(u.email, lower(word)))))

-- part: few
-- Those to look at when they are not many: the members of a channel, else of a team; or whom a guest can see.
SELECT m.user_id FROM channel_members m WHERE $12::text = '' AND $3::text <> '' AND m.channel_id = $3
    UNION ALL
    SELECT m.user_id FROM team_members m
    WHERE $12 = '' AND $3 = '' AND $1::text <> '' AND m.team_id = $1 AND m.delete_at = 0
    UNION ALL
    SELECT DISTINCT other.user_id
    FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
    WHERE $12 <> '' AND own.user_id = $12
    UNION ALL
    SELECT $12 WHERE $12 <> '' AND NOT EXISTS (SELECT FROM channel_members m WHERE m.user_id = $12)

-- name: has_more_members
-- Whether there are more than $4 whom $1 sees, else in the channel $2, else in the team $3; looks at no more than that.
SELECT EXISTS (
        SELECT FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
        WHERE $1::text <> '' AND own.user_id = $1 OFFSET $4)
    OR EXISTS (SELECT FROM channel_members m WHERE $1 = '' AND $2::text <> '' AND m.channel_id = $2 OFFSET $4)
    OR EXISTS (SELECT FROM team_members m WHERE $1 = '' AND $2 = '' AND m.team_id = $3 AND m.delete_at = 0 OFFSET $4);

-- name: walk_people
-- A page by username, walking the index: costs what it passes over, so for everybody and large teams only.
SELECT {columns}
FROM users u
WHERE {filters}
    {seen}
ORDER BY username LIMIT $13 OFFSET $14;

-- name: walk_other_roles
-- The same for roles that few have.
SELECT {columns}
FROM users u
WHERE u.roles <> 'system_user' AND {filters}
    {seen}
ORDER BY username LIMIT $13 OFFSET $14;

-- name: walk_inactive
-- The same for those who are deactivated.
SELECT {columns}
FROM users u
WHERE u.delete_at > 0 AND {filters}
    {seen}
ORDER BY username LIMIT $13 OFFSET $14;

-- name: few_people
-- A page of few, sorted: $15 '', create_at, last_activity_at, status, admin (of the channel) or display_name.
WITH few AS MATERIALIZED ({few})
SELECT {columns}
FROM few JOIN users u ON u.id = few.user_id LEFT JOIN statuses s ON s.user_id = u.id
WHERE {filters}
ORDER BY
    CASE $15::text WHEN 'create_at' THEN -u.create_at WHEN 'last_activity_at' THEN -coalesce(s.last_activity_at, 0)
        WHEN 'status' THEN coalesce(array_position(ARRAY['online', 'away', 'dnd'], s.status), 9)
        WHEN 'admin' THEN (SELECT 1 - m.scheme_admin::int FROM channel_members m
            WHERE m.channel_id = $3 AND m.user_id = u.id) END,
    CASE WHEN $15 = 'display_name' THEN coalesce(
        nullif(u.nickname, ''), nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username) END,
    username
LIMIT $13 OFFSET $14;

-- name: search_few
WITH few AS MATERIALIZED ({few})
SELECT {columns}
FROM few JOIN users u ON u.id = few.user_id
WHERE {filters}
    {words}
ORDER BY username LIMIT $16;

-- name: search_all
-- $17: the word to begin with, whose range in each index is walked until there are enough. The first by username are
-- complete, of the other names those that come first in their own order.
WITH found AS (
    (SELECT u.id FROM users u WHERE u.username >= lower($17) AND u.username < lower($17) || chr(1114111)
        AND {filters}
        {seen}
        {words}
    ORDER BY u.username LIMIT $16)
    UNION
    (SELECT u.id FROM users u WHERE $17 <> '' AND u.nickname <> '' AND lower(u.nickname) COLLATE "C" >= lower($17)
        AND lower(u.nickname) COLLATE "C" < lower($17) || chr(1114111)
        AND {filters}
        {seen}
        {words}
    ORDER BY lower(u.nickname) COLLATE "C" LIMIT $16)
    UNION
    (SELECT u.id FROM users u WHERE $14 AND $17 <> '' AND u.first_name <> ''
        AND lower(u.first_name) COLLATE "C" >= lower($17) AND lower(u.first_name) COLLATE "C" < lower($17) || chr(1114111)
        AND {filters}
        {seen}
        {words}
    ORDER BY lower(u.first_name) COLLATE "C" LIMIT $16)
    UNION
    (SELECT u.id FROM users u WHERE $14 AND $17 <> '' AND u.last_name <> ''
        AND lower(u.last_name) COLLATE "C" >= lower($17) AND lower(u.last_name) COLLATE "C" < lower($17) || chr(1114111)
        AND {filters}
        {seen}
        {words}
    ORDER BY lower(u.last_name) COLLATE "C" LIMIT $16)
    UNION
    (SELECT u.id FROM users u WHERE $15 AND $17 <> '' AND u.email >= lower($17) AND u.email < lower($17) || chr(1114111)
        AND {filters}
        {seen}
        {words}
    ORDER BY u.email LIMIT $16)
)
SELECT {columns}
FROM found JOIN users u ON u.id = found.id ORDER BY username LIMIT $16;

-- name: known_people
SELECT DISTINCT other.user_id
FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
WHERE own.user_id = $1 AND other.user_id <> $1 LIMIT $2;

-- name: count_people
-- $1: who asks, if he sees only whom he shares a channel with.
SELECT CASE WHEN $1::text = '' THEN (SELECT count(*) FROM users WHERE delete_at = 0)
    ELSE (SELECT count(*) FROM users u WHERE u.delete_at = 0 AND u.id IN (
        SELECT other.user_id FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
        WHERE own.user_id = $1 UNION SELECT $1)) END;

-- name: guests_who_see
-- The guests who share a channel with these users. Costs what there are guests: mostly none.
SELECT g.id, one.user_id FROM users g CROSS JOIN unnest($1::text[]) one(user_id)
WHERE g.roles LIKE '%system_guest%' AND g.delete_at = 0 AND EXISTS (
    SELECT FROM channel_members own JOIN channel_members other ON other.channel_id = own.channel_id
    WHERE own.user_id = g.id AND other.user_id = one.user_id);
