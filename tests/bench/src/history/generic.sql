-- What one would write instead: one function for all tables, which goes by JSON and knows no columns. Its arguments are the columns of
-- the key, those that are ignored, and what stands for those that are masked. As triggers of this kind do that are in use
-- (github.com/supabase/supa_audit has `record` and `old_record`), it keeps the row as it was and as it became, and beside them which columns
-- differ.
ALTER TABLE control_plane.generic_changes ADD changed text[];

CREATE FUNCTION bench.record_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c jsonb := nullif(current_setting('tower_audit.context', true), '');
    keys    text[] := TG_ARGV[0];
    ignored text[] := TG_ARGV[1];
    masks   jsonb  := TG_ARGV[2];
    a jsonb := to_jsonb(OLD) - ignored;
    b jsonb := to_jsonb(NEW) - ignored;
    k jsonb; p jsonb; changed text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(e.key) INTO changed FROM jsonb_each(b) AS e WHERE e.value IS DISTINCT FROM a -> e.key;
        IF changed IS NULL THEN
            RETURN NULL;
        END IF;
    END IF;
    SELECT jsonb_object_agg(e, coalesce(b, a) -> e) INTO k FROM unnest(keys) AS e;
    IF changed && keys THEN
        SELECT jsonb_object_agg(e, a -> e) INTO p FROM unnest(keys) AS e;
    END IF;
    INSERT INTO control_plane.generic_changes (operation, table_schema, table_name, key, old_key, old, new, audit_id, actor_type, actor_id,
            request_id, tenant_id, database_role, changed)
        VALUES (lower(TG_OP), TG_TABLE_SCHEMA, TG_TABLE_NAME, k, p, a || masks, b || masks,
            (c ->> 'audit_id')::uuid, coalesce(c ->> 'actor_type', 'system'), coalesce(c ->> 'actor_id', 'system'),
            c ->> 'request_id', c ->> 'tenant_id',
            nullif(current_setting('role', true), 'none'), changed);
    RETURN NULL;
END
$function$;

CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON bench.generic
    FOR EACH ROW EXECUTE FUNCTION bench.record_change('{id}', '{updated_at}', '{"api_token": "***"}');
