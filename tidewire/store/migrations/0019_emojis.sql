-- What: custom emojis and their images. Why here and not in files: as pictures, they are small (512 KiB at most, mostly some
-- 20 KiB), every node must see them, and the image commits together with the row. Lock: none that matters. Time: milliseconds.

CREATE TABLE emojis (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    creator_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX emojis_name ON emojis (name) WHERE delete_at = 0;
CREATE INDEX emojis_name_prefix ON emojis (name text_pattern_ops) WHERE delete_at = 0;

CREATE TABLE emoji_images (
    emoji_id text COLLATE "C" PRIMARY KEY,
    media_type text NOT NULL,
    data bytea NOT NULL
);
-- PNG and GIF are compressed already.
ALTER TABLE emoji_images ALTER COLUMN data SET STORAGE EXTERNAL;
