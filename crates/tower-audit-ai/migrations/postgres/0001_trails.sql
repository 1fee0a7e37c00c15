-- What each call of a model was asked, used and cost.
CREATE TABLE control_plane.ai_trails (
    message_id      text        COLLATE "C" PRIMARY KEY,
    -- Everything that was said of the call, each part with when it was said: the other columns follow from it. They are NULL until the begin of
    -- the call has arrived.
    state           jsonb       NOT NULL,
    project_id      text        COLLATE "C" GENERATED ALWAYS AS (state #>> '{opening,1,project_id}') STORED,
    model           text        GENERATED ALWAYS AS (state #>> '{opening,1,model}') STORED,
    served_model    text        GENERATED ALWAYS AS (state #>> '{served,1,model}') STORED,
    context_layers  bigint      GENERATED ALWAYS AS ((state #>> '{opening,1,context_layers}')::bigint) STORED,
    actor_type      text        GENERATED ALWAYS AS (state #>> '{opening,1,actor,0}') STORED,
    actor_id        text        GENERATED ALWAYS AS (state #>> '{opening,1,actor,1}') STORED,
    request_id      text        GENERATED ALWAYS AS (state #>> '{opening,1,request_id}') STORED,
    audit_id        uuid        GENERATED ALWAYS AS ((state #>> '{opening,1,event_id}')::uuid) STORED,
    prompt_tokens   bigint      GENERATED ALWAYS AS ((state #>> '{usage,1,prompt}')::bigint) STORED,
    completion_tokens bigint    GENERATED ALWAYS AS ((state #>> '{usage,1,completion}')::bigint) STORED,
    total_tokens    numeric     GENERATED ALWAYS AS ((state #>> '{usage,1,total}')::numeric) STORED,
    currency        text        GENERATED ALWAYS AS (state #>> '{cost,1,currency}') STORED,
    cost            numeric     GENERATED ALWAYS AS ((state #>> '{cost,1,total}')::numeric) STORED,
    computed_currency text,
    computed_cost   numeric,
    status          text,
    started_at      timestamptz,
    ended_at        timestamptz,
    -- The day on which it began, in the time zone of the settings.
    day             date,
    latency_micros  bigint,
    -- When it began or, until that is known, when something was said of it last.
    age             timestamptz NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX idx_ai_trails_project ON control_plane.ai_trails (project_id, started_at, message_id);
CREATE INDEX idx_ai_trails_slowest ON control_plane.ai_trails (project_id, day, latency_micros) INCLUDE (message_id)
    WHERE latency_micros IS NOT NULL;
CREATE INDEX idx_ai_trails_age ON control_plane.ai_trails (age);
CREATE INDEX idx_ai_trails_pending ON control_plane.ai_trails (started_at) WHERE status = 'pending';
CREATE INDEX idx_ai_trails_audit ON control_plane.ai_trails (audit_id, started_at, message_id) WHERE audit_id IS NOT NULL;

-- What the calls of a day add up to, those included of which the trails were deleted.
CREATE TABLE control_plane.ai_trails_tallies (
    project_id        text   COLLATE "C" NOT NULL,
    day               date   NOT NULL,
    model             text   NOT NULL,
    calls             bigint NOT NULL,
    completed         bigint NOT NULL,
    failed            bigint NOT NULL,
    unknown           bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    total_tokens      bigint NOT NULL,
    cached_tokens     bigint NOT NULL,
    reasoning_tokens  bigint NOT NULL,
    ended             bigint NOT NULL,
    latency_micros    bigint NOT NULL,
    -- The slowest call took no longer; it may have been deleted.
    slowest_micros    bigint NOT NULL,
    PRIMARY KEY (project_id, day, model)
) WITH (fillfactor = 50);

CREATE TABLE control_plane.ai_trails_costs (
    project_id text    COLLATE "C" NOT NULL,
    day        date    NOT NULL,
    model      text    NOT NULL,
    currency   text    NOT NULL,
    -- As was claimed, and of those calls of which nobody claimed anything as was computed.
    total      numeric NOT NULL,
    claimed    numeric NOT NULL,
    computed   numeric NOT NULL,
    PRIMARY KEY (project_id, day, model, currency)
) WITH (fillfactor = 50);

-- One row.
CREATE TABLE control_plane.ai_trails_settings (
    is_only  boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    -- Whose days are counted.
    zone     text        NOT NULL,
    -- Trails that began before this are not taken any more: those of then were deleted.
    too_late timestamptz NOT NULL DEFAULT '-infinity'
);
