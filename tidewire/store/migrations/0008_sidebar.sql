-- What: the sidebar of each user in each team: categories, and which channel is in which at which place.
-- Why: categories, their order, collapsed and muted were computed; users choose them. Lock: none that matters (new
-- tables). Time: milliseconds. Built-in categories are made when a user's sidebar is first read or changed.
-- A channel has at most one row per user and team, so it is never in two categories; one without a row is in its
-- built-in category, so none is ever lost. A favourite is the preference favorite_channel; its row gives only the place.

CREATE TABLE sidebar_categories (
    id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C" NOT NULL,
    sort_order integer NOT NULL,
    sorting text NOT NULL DEFAULT '',
    type text NOT NULL,
    display_name text NOT NULL,
    muted boolean NOT NULL DEFAULT false,
    collapsed boolean NOT NULL DEFAULT false
) WITH (fillfactor = 80);
CREATE INDEX sidebar_categories_user ON sidebar_categories (user_id, team_id);

CREATE TABLE sidebar_channels (
    user_id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    category_id text COLLATE "C" NOT NULL,
    sort_order integer NOT NULL,
    PRIMARY KEY (user_id, team_id, channel_id)
);
CREATE INDEX sidebar_channels_channel ON sidebar_channels (channel_id);
CREATE INDEX sidebar_channels_category ON sidebar_channels (category_id);
