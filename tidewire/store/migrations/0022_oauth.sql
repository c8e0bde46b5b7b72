-- What: the OAuth 2.0 provider: its apps, who has authorised which, codes, and what their access tokens are renewed by.
-- Why: programs act for a user without his password. Lock: sessions for an instant, for the foreign keys. Time: milliseconds.
-- An access token is a session (is_oauth). Codes and refresh tokens are stored by their SHA-256, an app's secret sealed;
-- a public app has none. What hangs on a session goes with it, in whatever way that ends: nothing can bring it back.
CREATE TABLE oauth_apps (
    id text COLLATE "C" PRIMARY KEY,
    creator_id text COLLATE "C" NOT NULL,
    create_at bigint NOT NULL,
    update_at bigint NOT NULL,
    client_secret text COLLATE "C" NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    icon_url text NOT NULL,
    callback_urls text[] NOT NULL,
    homepage text NOT NULL,
    is_trusted boolean NOT NULL,
    mattermost_app_id text NOT NULL DEFAULT '',
    is_dynamically_registered boolean NOT NULL DEFAULT false
);
CREATE INDEX oauth_apps_creator ON oauth_apps (creator_id, id);

CREATE TABLE oauth_authorized (
    app_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (app_id, user_id)
);
CREATE INDEX oauth_authorized_user ON oauth_authorized (user_id, app_id);

-- login_id: the session that consented, null once redeemed and of an access token's; session_id: what it was redeemed for.
CREATE TABLE oauth_codes (
    code_hash bytea PRIMARY KEY,
    app_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    redirect_uri text NOT NULL,
    challenge text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    login_id text COLLATE "C" REFERENCES sessions ON DELETE CASCADE,
    session_id text COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX oauth_codes_app ON oauth_codes (app_id, user_id);
CREATE INDEX oauth_codes_expires_at ON oauth_codes (expires_at);
CREATE INDEX oauth_codes_login_id ON oauth_codes (login_id);

-- refresh_hash: empty where there is no refresh token; old_hashes: of some that it replaced, the newest last.
CREATE TABLE oauth_grants (
    session_id text COLLATE "C" PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    app_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    refresh_hash bytea NOT NULL,
    old_hashes bytea[] NOT NULL DEFAULT '{}',
    refresh_until bigint NOT NULL
);
CREATE INDEX oauth_grants_app ON oauth_grants (app_id, user_id);
