-- The audit trail. The first ten columns are who did what to which resource, and from where; the
-- rest is what auditors ask next.
CREATE TABLE "{schema}"."{table}" (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    actor_id      text        NOT NULL,
    actor_type    text        NOT NULL
        CONSTRAINT "{table}_actor_type" CHECK (actor_type IN ('user', 'system', 'api_key', 'anonymous')),
    action        text        NOT NULL,
    target_type   text        NOT NULL,
    target_id     text        NOT NULL,
    metadata      jsonb       NOT NULL DEFAULT '{}'
        CONSTRAINT "{table}_metadata" CHECK (jsonb_typeof(metadata) = 'object'),
    ip_address    inet
        CONSTRAINT "{table}_ip_address" CHECK (masklen(ip_address) = CASE family(ip_address) WHEN 4 THEN 32 ELSE 128 END),
    user_agent    text,
    created_at    timestamptz NOT NULL DEFAULT now()
        CONSTRAINT "{table}_created_at" CHECK (isfinite(created_at)),
    outcome       text        NOT NULL
        CONSTRAINT "{table}_outcome" CHECK (outcome IN ('success', 'denied', 'failure', 'aborted', 'pending', 'unknown')),
    reason        text,
    status        smallint
        CONSTRAINT "{table}_status" CHECK (status BETWEEN 100 AND 999),
    method        text,
    route         text,
    path          text,
    duration_us   bigint
        CONSTRAINT "{table}_duration_us" CHECK (duration_us >= 0),
    request_id    text,
    trace_id      text,
    tenant_id     text,
    actor_name    text,
    auth_method   text,
    credential_id text,
    on_behalf_of  text,
    peer_address  inet
        CONSTRAINT "{table}_peer_address" CHECK (masklen(peer_address) = CASE family(peer_address) WHEN 4 THEN 32 ELSE 128 END),
    service       text,
    captured      jsonb,
    recorded_at   timestamptz NOT NULL DEFAULT now()
        CONSTRAINT "{table}_recorded_at" CHECK (isfinite(recorded_at)),
    CONSTRAINT "{table}_system_actor" CHECK (actor_type <> 'system' OR actor_id = 'system'),
    CONSTRAINT "{table}_anonymous_actor" CHECK (actor_type <> 'anonymous' OR actor_id = 'anonymous')
);

CREATE INDEX "idx_{table}_created_at" ON "{schema}"."{table}" (created_at DESC, id DESC);
CREATE INDEX "idx_{table}_actor_created" ON "{schema}"."{table}" (actor_id, created_at DESC);
CREATE INDEX "idx_{table}_target_created" ON "{schema}"."{table}" (target_id, created_at DESC);
CREATE INDEX "idx_{table}_action" ON "{schema}"."{table}" (action, created_at DESC);
CREATE INDEX "idx_{table}_tenant_created" ON "{schema}"."{table}" (tenant_id, created_at DESC)
    WHERE tenant_id IS NOT NULL;
CREATE INDEX "idx_{table}_pending" ON "{schema}"."{table}" (created_at)
    WHERE outcome = 'pending';

-- Rows are append-only, but for the one move from pending to a final outcome. That move may say how
-- it ended and what only the handler knew; what was known when the request arrived stays, and so does
-- an actor who was known.
CREATE FUNCTION "{schema}"."{table}_append_only"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.outcome = 'pending' AND NEW.outcome <> 'pending'
            AND (NEW.id, NEW.created_at, NEW.recorded_at, NEW.method, NEW.path, NEW.ip_address, NEW.peer_address,
                 NEW.user_agent, NEW.trace_id, NEW.service)
                IS NOT DISTINCT FROM
                (OLD.id, OLD.created_at, OLD.recorded_at, OLD.method, OLD.path, OLD.ip_address, OLD.peer_address,
                 OLD.user_agent, OLD.trace_id, OLD.service)
            AND (OLD.actor_type = 'anonymous' OR (NEW.actor_type = OLD.actor_type AND NEW.actor_id = OLD.actor_id))
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the rows of %.% are append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$function$;

CREATE TRIGGER "{table}_append_only" BEFORE UPDATE OR DELETE ON "{schema}"."{table}"
    FOR EACH ROW EXECUTE FUNCTION "{schema}"."{table}_append_only"();
CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{schema}"."{table}"
    FOR EACH STATEMENT EXECUTE FUNCTION "{schema}"."{table}_append_only"();
