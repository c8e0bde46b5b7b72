-- What: posts whose links are still to be looked at. Why: a worker that dies meanwhile leaves them to the others.
-- A row is written with its post and goes when what was found is shown, or that there is nothing. worker: who looks;
-- at: when it began, worker and at tell one look from others; since: when the post named the links; tries: how often
-- others took it over. Lock: none on what is there. Time: at once.

CREATE TABLE awaited_previews (
    post_id text COLLATE "C" NOT NULL PRIMARY KEY,
    worker text NOT NULL,
    at bigint NOT NULL,
    since bigint NOT NULL,
    tries smallint NOT NULL DEFAULT 0
);
