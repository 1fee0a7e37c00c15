-- The least that a trigger which records could do: it looks at no column, and inserts the same row of a history each time, with the context
-- that all of them read.
CREATE FUNCTION bench.record_constant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c jsonb := nullif(current_setting('tower_audit.context', true), '');
BEGIN
    INSERT INTO control_plane.constant_changes (operation, table_schema, table_name, key, old, new, audit_id, actor_type, actor_id,
            request_id, tenant_id, database_role)
        VALUES ('update', 'bench', 'constant', '{"id": 25000}', '{"status": "status-4999"}', '{"status": "status-5000"}',
            (c ->> 'audit_id')::uuid, coalesce(c ->> 'actor_type', 'system'), coalesce(c ->> 'actor_id', 'system'),
            c ->> 'request_id', c ->> 'tenant_id',
            nullif(current_setting('role', true), 'none'));
    RETURN NULL;
END
$function$;

CREATE TRIGGER record_constant AFTER UPDATE ON bench.constant
    FOR EACH ROW EXECUTE FUNCTION bench.record_constant();
