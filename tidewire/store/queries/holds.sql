-- name: hold
-- How many of these posts, channels, teams and users there are, none of which is deleted for good until the transaction ends.
-- Changes of them go on, unless it is of their names.
SELECT (SELECT count(*) FROM (SELECT FROM posts WHERE id = ANY($1::text[]) ORDER BY id FOR KEY SHARE) p)
    + (SELECT count(*) FROM (SELECT FROM channels WHERE id = ANY($2::text[]) ORDER BY id FOR KEY SHARE) c)
    + (SELECT count(*) FROM (SELECT FROM teams WHERE id = ANY($3::text[]) ORDER BY id FOR KEY SHARE) t)
    + (SELECT count(*) FROM (SELECT FROM users WHERE id = ANY($4::text[]) ORDER BY id FOR KEY SHARE) u);
