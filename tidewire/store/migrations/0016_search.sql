-- What: what posts and files say, as PostgreSQL's full text finds it; which posts are to be read again; how far the index is.
-- Why: search. In tables of their own, so that writing a post does not wait for it. Lock: none on tables in use.
-- Time: none; workers index what is there already, some 25,000 posts a second.
CREATE TABLE post_search (
    post_id text COLLATE "C" PRIMARY KEY,
    channel_id text COLLATE "C" NOT NULL,
    create_at bigint NOT NULL,
    words tsvector NOT NULL
);
CREATE INDEX post_search_words ON post_search USING gin (words);
CREATE INDEX post_search_create ON post_search (create_at, post_id);

CREATE TABLE file_search (
    file_id text COLLATE "C" PRIMARY KEY,
    channel_id text COLLATE "C" NOT NULL,
    create_at bigint NOT NULL,
    read_in boolean NOT NULL DEFAULT false, -- its content is in the words too, or cannot be had
    words tsvector NOT NULL
);
CREATE INDEX file_search_words ON file_search USING gin (words);
CREATE INDEX file_search_unread ON file_search (create_at) WHERE NOT read_in;

CREATE TABLE post_search_todo (post_id text COLLATE "C" PRIMARY KEY);

CREATE TABLE search_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    language text NOT NULL,
    newest text COLLATE "C" NOT NULL, -- posts up to this id are indexed, but for late ones
    checked text COLLATE "C" NOT NULL -- up to this id they were looked through once more
);
