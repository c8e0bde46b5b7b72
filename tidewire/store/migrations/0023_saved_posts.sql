-- What: an index of saved posts by post. Why: an export says of each post who saved it. Lock: SHARE on preferences while the
-- index is made, a second per million rows. Others preferences are not in it, so writing them costs what it did.
CREATE INDEX preferences_saved_posts ON preferences (name) WHERE category = 'flagged_post';
