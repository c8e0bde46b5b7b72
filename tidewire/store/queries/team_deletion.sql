-- Deleting a team for good. First everybody leaves, which is announced; then the rows go, which nobody hears.

-- name: channels_of_team
SELECT id FROM channels WHERE team_id = $1 ORDER BY id;

-- name: end_channel_memberships
-- The inner SELECT takes the locks in the order of posts.
WITH gone AS (
    SELECT channel_id, user_id FROM channel_members WHERE channel_id = ANY($1::text[])
    ORDER BY channel_id, user_id FOR UPDATE)
DELETE FROM channel_members m USING gone WHERE m.channel_id = gone.channel_id AND m.user_id = gone.user_id
RETURNING m.channel_id, m.user_id;

-- name: end_team_memberships
WITH gone AS (SELECT user_id FROM team_members WHERE team_id = $1 AND delete_at = 0 ORDER BY user_id FOR UPDATE)
UPDATE team_members m SET delete_at = $2 FROM gone WHERE m.team_id = $1 AND m.user_id = gone.user_id
RETURNING m.user_id;

-- name: archive_channels
UPDATE channels SET delete_at = $2, update_at = $2 WHERE team_id = $1 AND delete_at = 0;

-- name: delete_some_posts
-- Some at a time, so that no statement takes long; with their threads and reactions, and all that names them.
WITH gone AS (SELECT id FROM posts WHERE channel_id = ANY($1::text[]) LIMIT $2),
    of_search AS (DELETE FROM post_search s USING gone WHERE s.post_id = gone.id),
    of_reminders AS (DELETE FROM post_reminders r USING gone WHERE r.post_id = gone.id),
    of_acknowledgements AS (DELETE FROM post_acknowledgements k USING gone WHERE k.post_id = gone.id),
    of_actions AS (DELETE FROM post_actions a USING gone WHERE a.post_id = gone.id),
    of_previews AS (DELETE FROM post_previews v USING gone WHERE v.post_id = gone.id),
    of_threads AS (DELETE FROM threads t USING gone WHERE t.root_id = gone.id),
    of_followers AS (DELETE FROM thread_members t USING gone WHERE t.root_id = gone.id),
    of_reactions AS (DELETE FROM reactions r USING gone WHERE r.post_id = gone.id)
DELETE FROM posts p USING gone WHERE p.id = gone.id RETURNING p.id;

-- name: delete_sidebars
DELETE FROM sidebar_channels WHERE team_id = $1;

-- name: delete_sidebar_categories
DELETE FROM sidebar_categories WHERE team_id = $1;

-- name: delete_channels
-- With what belongs to them or to the team.
WITH drafts_ AS (DELETE FROM drafts d USING channels c WHERE c.team_id = $1 AND d.channel_id = c.id),
    incoming_ AS (DELETE FROM incoming_webhooks WHERE team_id = $1),
    outgoing_ AS (DELETE FROM outgoing_webhooks WHERE team_id = $1),
    commands_ AS (DELETE FROM commands WHERE team_id = $1)
DELETE FROM channels WHERE team_id = $1;

-- name: delete_team_members
DELETE FROM team_members WHERE team_id = $1;

-- name: delete_team
DELETE FROM teams WHERE id = $1;
