-- What: what buttons call of posts that were never written goes in a day. Why: such rows from before they could expire
-- stayed for good. Not at once: a post whose buttons were noted just now may be about to be written, and then they stay.
-- Lock: these rows. Time: some seconds per million rows.
UPDATE post_actions a SET expires_at = (extract(epoch FROM now()) * 1000)::bigint + 86400000
WHERE a.expires_at = 0 AND NOT EXISTS (SELECT FROM posts p WHERE p.id = a.post_id);
