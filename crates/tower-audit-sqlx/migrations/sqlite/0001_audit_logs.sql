-- The audit trail. Ids are 16 bytes and times microseconds since 1970 in UTC, which makes the table
-- a third smaller and faster; the view below is for people.
CREATE TABLE "{table}" (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    actor_id      TEXT    NOT NULL,
    actor_type    TEXT    NOT NULL CHECK (actor_type IN ('user', 'system', 'api_key', 'anonymous')),
    action        TEXT    NOT NULL,
    target_type   TEXT    NOT NULL,
    target_id     TEXT    NOT NULL,
    metadata      TEXT    NOT NULL DEFAULT '{}' CHECK (CASE WHEN json_valid(metadata) THEN json_type(metadata) = 'object' ELSE 0 END),
    ip_address    TEXT,
    user_agent    TEXT,
    created_at    INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))
        -- The years 1 to 9999.
        CHECK (created_at BETWEEN -62135596800000000 AND 253402300799999999),
    outcome       TEXT    NOT NULL CHECK (outcome IN ('success', 'denied', 'failure', 'aborted', 'pending', 'unknown')),
    reason        TEXT,
    status        INTEGER CHECK (status BETWEEN 100 AND 999),
    method        TEXT,
    route         TEXT,
    path          TEXT,
    duration_us   INTEGER CHECK (duration_us >= 0),
    request_id    TEXT,
    trace_id      TEXT,
    tenant_id     TEXT,
    actor_name    TEXT,
    auth_method   TEXT,
    credential_id TEXT,
    on_behalf_of  TEXT,
    peer_address  TEXT,
    service       TEXT,
    captured      TEXT,
    recorded_at   INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))
        CHECK (recorded_at BETWEEN -62135596800000000 AND 253402300799999999),
    CHECK (actor_type <> 'system' OR actor_id = 'system'),
    CHECK (actor_type <> 'anonymous' OR actor_id = 'anonymous')
) STRICT, WITHOUT ROWID;

CREATE INDEX "idx_{table}_created_at" ON "{table}" (created_at DESC, id DESC);
CREATE INDEX "idx_{table}_actor_created" ON "{table}" (actor_id, created_at DESC);
CREATE INDEX "idx_{table}_target_created" ON "{table}" (target_id, created_at DESC);
CREATE INDEX "idx_{table}_action" ON "{table}" (action, created_at DESC);
CREATE INDEX "idx_{table}_tenant_created" ON "{table}" (tenant_id, created_at DESC) WHERE tenant_id IS NOT NULL;
CREATE INDEX "idx_{table}_pending" ON "{table}" (created_at) WHERE outcome = 'pending';

-- Rows are append-only, but for the one move from pending to a final outcome. That move may say how
-- it ended and what only the handler knew; what was known when the request arrived stays, and so does
-- an actor who was known.
CREATE TRIGGER "{table}_no_update" BEFORE UPDATE ON "{table}"
WHEN NOT (OLD.outcome = 'pending' AND NEW.outcome <> 'pending'
    AND (NEW.id, NEW.created_at, NEW.recorded_at, NEW.method, NEW.path, NEW.ip_address, NEW.peer_address,
         NEW.user_agent, NEW.trace_id, NEW.service)
        IS (OLD.id, OLD.created_at, OLD.recorded_at, OLD.method, OLD.path, OLD.ip_address, OLD.peer_address,
            OLD.user_agent, OLD.trace_id, OLD.service)
    AND (OLD.actor_type = 'anonymous' OR (NEW.actor_type = OLD.actor_type AND NEW.actor_id = OLD.actor_id)))
BEGIN
    SELECT RAISE(ABORT, 'the rows of the audit trail are append-only: UPDATE is refused');
END;
CREATE TRIGGER "{table}_no_delete" BEFORE DELETE ON "{table}"
BEGIN
    SELECT RAISE(ABORT, 'the rows of the audit trail are append-only: DELETE is refused');
END;
-- INSERT OR REPLACE deletes without firing the trigger above. A row that exists stays as it is; a
-- repeated insert is ignored, which is what makes a repeated batch harmless.
CREATE TRIGGER "{table}_no_replace" BEFORE INSERT ON "{table}"
WHEN EXISTS (SELECT 1 FROM "{table}" WHERE id = NEW.id)
BEGIN
    SELECT RAISE(IGNORE);
END;

-- The same rows for people: the id as a UUID, times as text.
CREATE VIEW "{table}_text" AS
SELECT
    lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-'
        || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
    strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || printf('.%06dZ', created_at % 1000000)
        AS created_at,
    actor_type, actor_id, action, target_type, target_id, outcome, reason, status, method, route, path,
    ip_address, peer_address, user_agent, metadata, duration_us, request_id, trace_id, tenant_id, actor_name,
    auth_method, credential_id, on_behalf_of, service, captured,
    strftime('%Y-%m-%dT%H:%M:%S', recorded_at / 1000000, 'unixepoch') || printf('.%06dZ', recorded_at % 1000000)
        AS recorded_at
FROM "{table}";
