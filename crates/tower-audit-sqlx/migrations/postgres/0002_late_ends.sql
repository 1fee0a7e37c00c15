-- A request may end after its pending row was given up and made unknown: what really happened then
-- takes its place. Everything else is as before.
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
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the rows of %.% are append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$function$;
