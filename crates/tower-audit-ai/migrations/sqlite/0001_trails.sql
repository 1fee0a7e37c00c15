-- What each call of a model was asked, used and cost. Times are microseconds since 1970.
CREATE TABLE ai_trails (
    message_id        TEXT    NOT NULL PRIMARY KEY,
    -- Everything that was said of the call, each part with when it was said: the other columns follow from it. They are NULL until the begin of
    -- the call has arrived.
    state             TEXT    NOT NULL,
    -- Not generated: an index with a generated column covers nothing.
    project_id        TEXT,
    model             TEXT    AS (state ->> '$.opening[1].model') VIRTUAL,
    served_model      TEXT    AS (state ->> '$.served[1].model') VIRTUAL,
    context_layers    INTEGER AS (state ->> '$.opening[1].context_layers') VIRTUAL,
    actor_type        TEXT    AS (state ->> '$.opening[1].actor[0]') VIRTUAL,
    actor_id          TEXT    AS (state ->> '$.opening[1].actor[1]') VIRTUAL,
    request_id        TEXT    AS (state ->> '$.opening[1].request_id') VIRTUAL,
    audit_id          TEXT    AS (state ->> '$.opening[1].event_id') VIRTUAL,
    prompt_tokens     INTEGER AS (state ->> '$.usage[1].prompt') VIRTUAL,
    completion_tokens INTEGER AS (state ->> '$.usage[1].completion') VIRTUAL,
    total_tokens      INTEGER AS (state ->> '$.usage[1].total') VIRTUAL,
    currency          TEXT    AS (state ->> '$.cost[1].currency') VIRTUAL,
    -- Decimals are text: no digit is lost.
    cost              TEXT    AS (state ->> '$.cost[1].total') VIRTUAL,
    computed_currency TEXT,
    computed_cost     TEXT,
    status            TEXT,
    started_micros    INTEGER,
    ended_micros      INTEGER,
    -- The day on which it began, in the time zone of the settings.
    day               TEXT,
    latency_micros    INTEGER,
    -- When it began or, until that is known, when something was said of it last.
    age_micros        INTEGER NOT NULL
);

CREATE INDEX idx_ai_trails_project ON ai_trails (project_id, started_micros, message_id);
CREATE INDEX idx_ai_trails_slowest ON ai_trails (project_id, day, latency_micros, message_id) WHERE latency_micros IS NOT NULL;
CREATE INDEX idx_ai_trails_age ON ai_trails (age_micros);
CREATE INDEX idx_ai_trails_pending ON ai_trails (started_micros) WHERE status = 'pending';
CREATE INDEX idx_ai_trails_audit ON ai_trails (audit_id, started_micros, message_id) WHERE audit_id IS NOT NULL;

-- What the calls of a day add up to, those included of which the trails were deleted.
CREATE TABLE ai_trails_tallies (
    project_id        TEXT    NOT NULL,
    day               TEXT    NOT NULL,
    model             TEXT    NOT NULL,
    calls             INTEGER NOT NULL,
    completed         INTEGER NOT NULL,
    failed            INTEGER NOT NULL,
    unknown           INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    total_tokens      INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    reasoning_tokens  INTEGER NOT NULL,
    ended             INTEGER NOT NULL,
    latency_micros    INTEGER NOT NULL,
    -- The slowest call took no longer; it may have been deleted.
    slowest_micros    INTEGER NOT NULL,
    -- By currency what was claimed, what was computed, and in all what is known, as decimals in text:
    -- `{"USD": {"total": "0.3", "claimed": "0.3", "computed": "0"}}`.
    costs             TEXT    NOT NULL,
    PRIMARY KEY (project_id, day, model)
) WITHOUT ROWID;

-- One row.
CREATE TABLE ai_trails_settings (
    is_only         INTEGER PRIMARY KEY CHECK (is_only = 1),
    -- Whose days are counted.
    zone            TEXT    NOT NULL,
    -- Trails that began before this are not taken any more: those of then were deleted.
    too_late_micros INTEGER NOT NULL DEFAULT -9223372036854775808
);
