-- What: when a status that was set by REST alone runs out; the indexes by which do-not-disturb ends, users are found by
-- the beginning of a name, guests are found, and active accounts are counted.
-- Why: nobody scans a million users for a search box. All but the username and the e-mail need an index of their own,
-- in lower case and compared byte by byte, so that a prefix is a range.
-- Lock: users and statuses for an instant, then users against writes while each index is built: about 3 s for each
-- name column of a million users. Time: milliseconds, but statuses.dnd_end_time: seconds.

ALTER TABLE statuses ADD COLUMN online_until bigint NOT NULL DEFAULT 0;
CREATE INDEX statuses_dnd_end ON statuses (dnd_end_time) WHERE dnd_end_time > 0;

CREATE INDEX users_first_name ON users (lower(first_name) COLLATE "C") WHERE first_name <> '';
CREATE INDEX users_last_name ON users (lower(last_name) COLLATE "C") WHERE last_name <> '';
CREATE INDEX users_nickname ON users (lower(nickname) COLLATE "C") WHERE nickname <> '';
CREATE INDEX users_guests ON users (id) WHERE roles LIKE '%system_guest%';
CREATE INDEX users_active ON users (id) WHERE delete_at = 0;
-- Few people have another role, or are deactivated: lists of them walk these instead of a million usernames.
CREATE INDEX users_other_roles ON users (username) WHERE roles <> 'system_user';
CREATE INDEX users_inactive ON users (username) WHERE delete_at > 0;
