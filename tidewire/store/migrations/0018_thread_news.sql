-- What: beside the announcements of a transaction, the threads whose followers must still be told of it.
-- Why: `thread_updated` is made after the commit; whoever finds rows of a worker that died tells for it.
-- Lock: outbox for milliseconds. Time: none; the table is small. Rows with news are few: those of the last second or two.

ALTER TABLE outbox ADD COLUMN news text[];
CREATE INDEX outbox_news ON outbox (id) WHERE news IS NOT NULL;
