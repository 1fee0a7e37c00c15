-- The tables of the app. It is run at every start: what is there stays as it is, and is no news for the log.
SET LOCAL client_min_messages = warning;

-- A reserved word, on purpose: SQL has to quote it. The history takes the name as the catalog has it.
CREATE TABLE IF NOT EXISTS "user" (
    id         text        PRIMARY KEY,
    name       text        NOT NULL,
    email      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS jobs (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     text        NOT NULL REFERENCES "user" ON DELETE CASCADE,
    name        text        NOT NULL,
    schedule    text        NOT NULL,
    status      text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
    -- Set by a scheduler, which is no request.
    next_run_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS job_endpoints (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id     bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    url        text        NOT NULL,
    method     text        NOT NULL,
    -- One of them may be `Authorization`.
    headers    jsonb       NOT NULL DEFAULT '{}',
    body       text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A real service keeps the hash alone. The secret is here to show that the history does not get it.
CREATE TABLE IF NOT EXISTS apikey (
    id         text        PRIMARY KEY,
    user_id    text        NOT NULL REFERENCES "user" ON DELETE CASCADE,
    name       text        NOT NULL,
    key_hash   text        NOT NULL,
    secret     text        NOT NULL,
    enabled    boolean     NOT NULL DEFAULT true,
    expires_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A foreign key has no index by itself, and a delete that cascades looks for the rows.
CREATE INDEX IF NOT EXISTS idx_jobs_user ON jobs (user_id);
CREATE INDEX IF NOT EXISTS idx_job_endpoints_job ON job_endpoints (job_id);
CREATE INDEX IF NOT EXISTS idx_apikey_user ON apikey (user_id);
