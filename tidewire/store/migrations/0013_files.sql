-- What: files, upload sessions, and objects that are to be deleted. Why: attachments of posts; the bytes are objects of a
-- disk or of S3 (tidewire.store.objects). Lock: none that matters (new tables). Time: milliseconds.

CREATE TABLE files (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    post_id text COLLATE "C" NOT NULL DEFAULT '', -- '' until a post holds it
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    name text NOT NULL,
    extension text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    mime_type text NOT NULL, -- what the name says
    shown_as text NOT NULL DEFAULT '', -- what the bytes are, if a browser may show them; else ''
    width integer NOT NULL DEFAULT 0,
    height integer NOT NULL DEFAULT 0,
    thumbnail text NOT NULL DEFAULT '', -- types of the smaller pictures; '' where there is none
    preview text NOT NULL DEFAULT '',
    mini_preview bytea,
    sha256 bytea NOT NULL,
    key text COLLATE "C" NOT NULL -- of the object; those of the smaller pictures begin with it
) WITH (fillfactor = 85);
CREATE INDEX files_channel ON files (channel_id, create_at, id) WHERE post_id <> '' AND delete_at = 0;
CREATE INDEX files_post ON files (post_id) WHERE post_id <> '';

CREATE TABLE upload_sessions (
    id text COLLATE "C" PRIMARY KEY,
    type text NOT NULL,
    create_at bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    filename text NOT NULL,
    file_size bigint NOT NULL,
    file_offset bigint NOT NULL DEFAULT 0,
    keys text[] NOT NULL DEFAULT '{}' -- the objects that hold what has come, in order
);
CREATE INDEX upload_sessions_user ON upload_sessions (user_id);
CREATE INDEX upload_sessions_create ON upload_sessions (create_at);

-- An object stands here before it is written and until a row names it, and again when no row does any more.
CREATE TABLE doomed_objects (
    key text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL -- when it may be deleted
);
CREATE INDEX doomed_objects_at ON doomed_objects (at);
