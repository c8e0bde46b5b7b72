-- What: users, sessions, teams, channels, members, posts, threads, reactions, preferences, statuses, outbox.
-- Why: the first schema. Lock: none that matters (new tables). Time: milliseconds.
-- Ids sort by time and are compared byte by byte. No foreign keys from the hot tables: each insert would take a
-- key-share lock on the hot row. Counters and event_n carry no index, so that their updates stay HOT.

CREATE TABLE system (
    name text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE users (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    username text COLLATE "C" NOT NULL UNIQUE,
    email text COLLATE "C" NOT NULL UNIQUE,
    password_hash text NOT NULL DEFAULT '',
    auth_data text NOT NULL DEFAULT '',
    auth_service text NOT NULL DEFAULT '',
    email_verified boolean NOT NULL DEFAULT false,
    nickname text NOT NULL DEFAULT '',
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    position text NOT NULL DEFAULT '',
    roles text NOT NULL DEFAULT 'system_user',
    props jsonb NOT NULL DEFAULT '{}',
    notify_props jsonb NOT NULL DEFAULT '{}',
    last_password_update bigint NOT NULL DEFAULT 0,
    last_picture_update bigint NOT NULL DEFAULT 0,
    failed_attempts integer NOT NULL DEFAULT 0,
    locale text NOT NULL DEFAULT 'en',
    timezone jsonb NOT NULL DEFAULT '{}',
    mfa_active boolean NOT NULL DEFAULT false,
    event_n bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE INDEX users_update_at ON users (update_at);

CREATE TABLE sessions (
    id text COLLATE "C" PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    user_id text COLLATE "C" NOT NULL,
    create_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    device_id text NOT NULL DEFAULT '',
    roles text NOT NULL,
    is_oauth boolean NOT NULL DEFAULT false,
    props jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 80);
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE teams (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    name text COLLATE "C" NOT NULL UNIQUE,
    display_name text NOT NULL,
    type text NOT NULL,
    description text NOT NULL DEFAULT '',
    email text NOT NULL DEFAULT '',
    company_name text NOT NULL DEFAULT '',
    allowed_domains text NOT NULL DEFAULT '',
    invite_id text COLLATE "C" NOT NULL UNIQUE,
    allow_open_invite boolean NOT NULL DEFAULT false,
    event_n bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

CREATE TABLE team_members (
    team_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    explicit_roles text NOT NULL DEFAULT '',
    create_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    scheme_guest boolean NOT NULL DEFAULT false,
    scheme_user boolean NOT NULL DEFAULT true,
    scheme_admin boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_user_id ON team_members (user_id);

CREATE TABLE channels (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    team_id text COLLATE "C" NOT NULL,
    type text NOT NULL,
    name text COLLATE "C" NOT NULL,
    display_name text NOT NULL DEFAULT '',
    header text NOT NULL DEFAULT '',
    purpose text NOT NULL DEFAULT '',
    creator_id text NOT NULL DEFAULT '',
    props jsonb NOT NULL DEFAULT '{}',
    last_post_at bigint NOT NULL DEFAULT 0,
    last_root_post_at bigint NOT NULL DEFAULT 0,
    total_msg_count bigint NOT NULL DEFAULT 0,
    total_msg_count_root bigint NOT NULL DEFAULT 0,
    event_n bigint NOT NULL DEFAULT 0,
    UNIQUE (team_id, name)
) WITH (fillfactor = 75);

CREATE TABLE channel_members (
    channel_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    explicit_roles text NOT NULL DEFAULT '',
    last_viewed_at bigint NOT NULL DEFAULT 0,
    msg_count bigint NOT NULL DEFAULT 0,
    msg_count_root bigint NOT NULL DEFAULT 0,
    mention_count bigint NOT NULL DEFAULT 0,
    mention_count_root bigint NOT NULL DEFAULT 0,
    urgent_mention_count bigint NOT NULL DEFAULT 0,
    notify_props jsonb NOT NULL DEFAULT '{}',
    last_update_at bigint NOT NULL DEFAULT 0,
    scheme_guest boolean NOT NULL DEFAULT false,
    scheme_user boolean NOT NULL DEFAULT true,
    scheme_admin boolean NOT NULL DEFAULT false,
    PRIMARY KEY (channel_id, user_id)
) WITH (fillfactor = 75);
CREATE INDEX channel_members_user_id ON channel_members (user_id);

CREATE TABLE posts (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    edit_at bigint NOT NULL DEFAULT 0,
    delete_at bigint NOT NULL DEFAULT 0,
    is_pinned boolean NOT NULL DEFAULT false,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    root_id text COLLATE "C" NOT NULL DEFAULT '',
    original_id text COLLATE "C" NOT NULL DEFAULT '',
    message text NOT NULL,
    type text NOT NULL DEFAULT '',
    props jsonb NOT NULL DEFAULT '{}',
    hashtags text NOT NULL DEFAULT '',
    file_ids text[] NOT NULL DEFAULT '{}',
    has_reactions boolean NOT NULL DEFAULT false
) WITH (fillfactor = 85);
CREATE INDEX posts_channel_create ON posts (channel_id, create_at, id);
CREATE INDEX posts_channel_update ON posts (channel_id, update_at);
CREATE INDEX posts_root ON posts (root_id, create_at, id) WHERE root_id <> '';
CREATE INDEX posts_original ON posts (original_id) WHERE original_id <> '';
CREATE INDEX posts_pinned ON posts (channel_id) WHERE is_pinned;

CREATE TABLE threads (
    root_id text COLLATE "C" PRIMARY KEY,
    channel_id text COLLATE "C" NOT NULL,
    reply_count bigint NOT NULL,
    last_reply_at bigint NOT NULL,
    participants text[] NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE reactions (
    post_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    emoji_name text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    create_at bigint NOT NULL,
    PRIMARY KEY (post_id, user_id, emoji_name)
);

CREATE TABLE preferences (
    user_id text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (user_id, category, name)
);

CREATE TABLE statuses (
    user_id text COLLATE "C" PRIMARY KEY,
    status text NOT NULL,
    manual boolean NOT NULL DEFAULT false,
    last_activity_at bigint NOT NULL DEFAULT 0,
    dnd_end_time bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 75);

-- One row per announcing transaction or flush: payload = [[key, envelope], …]; event i of k of a key has number ns[key] - k + i.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at bigint NOT NULL,
    worker text NOT NULL,
    published boolean NOT NULL DEFAULT false,
    payload bytea NOT NULL,
    keys text[] NOT NULL,
    ns bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX outbox_unpublished ON outbox (created_at) WHERE NOT published;
