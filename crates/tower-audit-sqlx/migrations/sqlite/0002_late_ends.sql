-- A request may end after its pending row was given up and made unknown: what really happened then
-- takes its place. Everything else is as before.
DROP TRIGGER "{table}_no_update";
CREATE TRIGGER "{table}_no_update" BEFORE UPDATE ON "{table}"
WHEN NOT ((OLD.outcome = 'pending' OR (OLD.outcome = 'unknown' AND OLD.reason IS 'never_completed' AND NEW.outcome <> 'unknown'))
    AND NEW.outcome <> 'pending'
    AND (NEW.id, NEW.created_at, NEW.recorded_at, NEW.method, NEW.path, NEW.ip_address, NEW.peer_address,
         NEW.user_agent, NEW.trace_id, NEW.service)
        IS (OLD.id, OLD.created_at, OLD.recorded_at, OLD.method, OLD.path, OLD.ip_address, OLD.peer_address,
            OLD.user_agent, OLD.trace_id, OLD.service)
    AND (OLD.actor_type = 'anonymous' OR (NEW.actor_type = OLD.actor_type AND NEW.actor_id = OLD.actor_id)))
BEGIN
    SELECT RAISE(ABORT, 'the rows of the audit trail are append-only: UPDATE is refused');
END;
