-- What: profile pictures and team icons. Why here and not in files: every node must see them, they are small (128 × 128,
-- at most 50 KB, of users who have one), and the row commits together with last_picture_update and its announcement.
-- Lock: teams for an instant (a column with a constant default rewrites nothing). Time: milliseconds.

CREATE TABLE pictures (
    owner_id text COLLATE "C" PRIMARY KEY, -- a user's or a team's id
    at bigint NOT NULL,
    png bytea NOT NULL
);
-- PNG is compressed already.
ALTER TABLE pictures ALTER COLUMN png SET STORAGE EXTERNAL;

ALTER TABLE teams ADD COLUMN last_team_icon_update bigint NOT NULL DEFAULT 0;
