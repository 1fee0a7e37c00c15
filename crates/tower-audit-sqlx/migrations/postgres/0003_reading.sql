-- For whoever reads. The number of the transaction that wrote a row tells which rows became visible since
-- somebody looked: times do not, because what began first may end last. Rows from before this migration have
-- none.
ALTER TABLE "{schema}"."{table}" ADD COLUMN write_order xid8;
ALTER TABLE "{schema}"."{table}" ALTER COLUMN write_order SET DEFAULT pg_current_xact_id();
CREATE INDEX "idx_{table}_write_order" ON "{schema}"."{table}" (write_order, id) WHERE write_order IS NOT NULL;

-- The beginning of an action is asked for, such as `project.`: whatever language the database sorts by.
DROP INDEX "{schema}"."idx_{table}_action";
CREATE INDEX "idx_{table}_action" ON "{schema}"."{table}" (action text_pattern_ops, created_at DESC);

-- What did not succeed is rare, and is what people look for.
CREATE INDEX "idx_{table}_outcome" ON "{schema}"."{table}" (outcome, created_at DESC) WHERE outcome <> 'success';

-- The end of a request is news too. Everything else is as before.
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
    END IF;
    RAISE EXCEPTION 'the rows of %.% are append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$function$;
