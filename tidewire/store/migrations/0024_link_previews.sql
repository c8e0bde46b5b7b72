-- What: what is known of addresses that posts name, and what posts show of them. Lock: none on what is there. Time: at once.
-- link_metadata is what was found at an address lately, nothing too (type 'none'); rows that are old are deleted.
-- post_previews is what a post shows, as its event told it: it stays with the post, whatever the page says later.
-- hash: SHA-256 of the address. data, preview: JSON.

CREATE TABLE link_metadata (
    hash bytea NOT NULL PRIMARY KEY,
    url text NOT NULL,
    fetched_at bigint NOT NULL,
    type text NOT NULL,
    data text NOT NULL
);
CREATE INDEX link_metadata_fetched_at ON link_metadata (fetched_at);

CREATE TABLE post_previews (
    post_id text COLLATE "C" NOT NULL PRIMARY KEY,
    preview text NOT NULL
);
