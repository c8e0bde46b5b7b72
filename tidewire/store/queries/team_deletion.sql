-- Deleting a team for good. First everybody leaves, which is announced; then the rows go, which nobody hears.

-- name: channels_of_team
SELECT id FROM channels WHERE team_id = $1 ORDER BY id;

-- name: hold_channel_memberships
-- In the order of posts. Whoever moves a channel to another team holds its members, and then the channel.
SELECT 1 FROM channel_members WHERE channel_id = ANY($1::text[]) ORDER BY channel_id, user_id FOR UPDATE;

-- name: hold_channels_of_team
SELECT id FROM channels WHERE team_id = $1 ORDER BY id FOR NO KEY UPDATE;

-- name: lock_channels_of_team
-- With lock_team: whoever writes what belongs to one of them holds it, and is waited for.
SELECT id FROM channels WHERE team_id = $1 ORDER BY id FOR UPDATE;

-- name: lock_team
SELECT 1 FROM teams WHERE id = $1 FOR UPDATE;

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

-- name: delete_own
-- What belongs to the team or to its channels.
WITH members_ AS (DELETE FROM channel_members m USING channels c WHERE c.team_id = $1 AND m.channel_id = c.id),
    drafts_ AS (DELETE FROM drafts d USING channels c WHERE c.team_id = $1 AND d.channel_id = c.id),
    incoming_ AS (DELETE FROM incoming_webhooks WHERE team_id = $1),
    outgoing_ AS (DELETE FROM outgoing_webhooks WHERE team_id = $1),
    commands_ AS (DELETE FROM commands WHERE team_id = $1),
    sidebars_ AS (DELETE FROM sidebar_channels WHERE team_id = $1),
    categories_ AS (DELETE FROM sidebar_categories WHERE team_id = $1),
    picture_ AS (DELETE FROM pictures WHERE owner_id = $1)
DELETE FROM team_members WHERE team_id = $1;

-- name: delete_channels
DELETE FROM channels WHERE team_id = $1;

-- name: delete_team
DELETE FROM teams WHERE id = $1;
