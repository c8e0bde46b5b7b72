-- What: who wrote an indexed post; indexes by author and by channel.
-- Why: `from:` and `in:` without a rare word read all posts, newest first, until a page was full.
-- Lock: post_search, which only searches and one worker use. Time: none; workers make the posts' index anew, some 20,000
-- posts a second, and searches find the others meanwhile.
TRUNCATE post_search;
ALTER TABLE post_search ADD COLUMN user_id text COLLATE "C" NOT NULL;
CREATE INDEX post_search_author ON post_search (user_id, create_at);
CREATE INDEX post_search_channel ON post_search (channel_id, create_at);
UPDATE search_state SET newest = '', checked = '';
