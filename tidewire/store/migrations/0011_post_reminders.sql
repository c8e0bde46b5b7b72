-- What: when who wants to be reminded of which post. Why: POST /users/{user_id}/posts/{post_id}/reminder.
-- Lock: none on tables in use. Time: none. claimed_until (ms): a worker is at it until then.
CREATE TABLE post_reminders (
    user_id text COLLATE "C" NOT NULL,
    post_id text COLLATE "C" NOT NULL,
    target_time bigint NOT NULL,
    claimed_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, post_id)
);
CREATE INDEX post_reminders_target ON post_reminders (target_time);
