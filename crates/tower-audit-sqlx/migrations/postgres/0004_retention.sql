-- Who deletes what is old, and how far it is: one row. Whoever has the lease deletes; each one gets a number of its own, so
-- that somebody who was away for too long finds out.
CREATE TABLE "{schema}"."{table}_retention" (
    is_only       boolean     PRIMARY KEY DEFAULT true CONSTRAINT "{table}_retention_is_only" CHECK (is_only),
    token         bigint      NOT NULL DEFAULT 0,
    holder        text,
    leased_until  timestamptz NOT NULL DEFAULT '1970-01-01T00:00:00Z',
    -- Nothing younger than this is ever deleted.
    floor         interval    NOT NULL DEFAULT interval '30 days'
        CONSTRAINT "{table}_retention_floor" CHECK (floor >= interval '0'),
    -- The time that the last run was for, and where one stopped because its time was over.
    scheduled_for timestamptz,
    resume_at     timestamptz,
    -- A partition whose rows nobody sees any more, and that is not gone yet.
    dropping      text,
    drops_from    timestamptz,
    drops_until   timestamptz
);
INSERT INTO "{schema}"."{table}_retention" DEFAULT VALUES;

-- What is not to go, whatever the policy says. A hold is released, and never deleted.
CREATE TABLE "{schema}"."{table}_holds" (
    name        text        NOT NULL,
    search      text        NOT NULL,
    reason      text        NOT NULL,
    placed_at   timestamptz NOT NULL DEFAULT now(),
    placed_by   text        NOT NULL DEFAULT session_user,
    released_at timestamptz,
    released_by text,
    PRIMARY KEY (name, placed_at)
);
CREATE UNIQUE INDEX "idx_{table}_holds_name" ON "{schema}"."{table}_holds" (name) WHERE released_at IS NULL;

CREATE FUNCTION "{schema}"."{table}_holds_stay"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.released_at IS NULL AND NEW.released_at IS NOT NULL
            AND (NEW.name, NEW.search, NEW.reason, NEW.placed_at, NEW.placed_by)
                IS NOT DISTINCT FROM (OLD.name, OLD.search, OLD.reason, OLD.placed_at, OLD.placed_by)
        THEN
            NEW.released_by := session_user;
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the holds of %.% can be released, and nothing else: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$function$;
CREATE TRIGGER "{table}_holds_stay" BEFORE UPDATE OR DELETE ON "{schema}"."{table}_holds"
    FOR EACH ROW EXECUTE FUNCTION "{schema}"."{table}_holds_stay"();
CREATE TRIGGER "{table}_holds_no_truncate" BEFORE TRUNCATE ON "{schema}"."{table}_holds"
    FOR EACH STATEMENT EXECUTE FUNCTION "{schema}"."{table}_holds_stay"();

-- Retention says, in its transaction, before which time it deletes; nobody deletes under the floor. Everything else is as
-- before.
CREATE OR REPLACE FUNCTION "{schema}"."{table}_append_only"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (OLD.outcome = 'pending' OR (OLD.outcome = 'unknown' AND OLD.reason = 'never_completed' AND NEW.outcome <> 'unknown'))
            AND NEW.outcome <> 'pending'
            AND (NEW.id, NEW.created_at, NEW.recorded_at, NEW.method, NEW.path, NEW.ip_address, NEW.peer_address,
                 NEW.user_agent, NEW.trace_id, NEW.service)
                IS NOT DISTINCT FROM
                (OLD.id, OLD.created_at, OLD.recorded_at, OLD.method, OLD.path, OLD.ip_address, OLD.peer_address,
                 OLD.user_agent, OLD.trace_id, OLD.service)
            AND (OLD.actor_type = 'anonymous' OR (NEW.actor_type = OLD.actor_type AND NEW.actor_id = OLD.actor_id))
        THEN
            NEW.write_order := pg_current_xact_id();
            RETURN NEW;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        IF OLD.created_at < nullif(current_setting('tower_audit.delete_before', true), '')::timestamptz
            AND OLD.created_at < now() - (SELECT floor FROM "{schema}"."{table}_retention")
        THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the rows of %.% are append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$function$;
