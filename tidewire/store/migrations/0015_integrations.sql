-- What: webhooks, slash commands, where late answers to commands may still go, and what buttons of posts call.
-- Why: programs write and are told. Lock: none on tables in use. Time: none.
-- Ids of incoming webhooks and tokens are shown to who may manage them (Mattermost API v4), so they are not hashed.
CREATE TABLE incoming_webhooks (
    id text COLLATE "C" PRIMARY KEY,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C" NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    username text NOT NULL,
    icon_url text NOT NULL,
    channel_locked boolean NOT NULL
);
CREATE INDEX incoming_webhooks_team ON incoming_webhooks (team_id) WHERE delete_at = 0;

CREATE TABLE outgoing_webhooks (
    id text COLLATE "C" PRIMARY KEY,
    token text NOT NULL,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    creator_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C" NOT NULL,
    trigger_words text[] NOT NULL,
    trigger_when integer NOT NULL,
    callback_urls text[] NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    content_type text NOT NULL,
    username text NOT NULL,
    icon_url text NOT NULL
);
CREATE INDEX outgoing_webhooks_team ON outgoing_webhooks (team_id) WHERE delete_at = 0;

CREATE TABLE commands (
    id text COLLATE "C" PRIMARY KEY,
    token text NOT NULL,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    delete_at bigint NOT NULL DEFAULT 0,
    creator_id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C" NOT NULL,
    trigger text COLLATE "C" NOT NULL,
    method text NOT NULL,
    username text NOT NULL,
    icon_url text NOT NULL,
    auto_complete boolean NOT NULL,
    auto_complete_desc text NOT NULL,
    auto_complete_hint text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    url text NOT NULL
);
CREATE UNIQUE INDEX commands_trigger ON commands (team_id, trigger) WHERE delete_at = 0;

CREATE TABLE command_replies (
    id_hash bytea PRIMARY KEY,
    command_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    root_id text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    uses_left integer NOT NULL
);
CREATE INDEX command_replies_expires ON command_replies (expires_at);

CREATE TABLE post_actions (
    post_id text COLLATE "C" NOT NULL,
    action_id text COLLATE "C" NOT NULL,
    channel_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL DEFAULT '', -- who alone sees the post, '' for one that is kept
    integration jsonb NOT NULL,
    expires_at bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (post_id, action_id)
);
CREATE INDEX post_actions_expires ON post_actions (expires_at) WHERE expires_at > 0;
