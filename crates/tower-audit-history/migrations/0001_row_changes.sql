-- What happened to the rows of the app's own tables. Only the trigger functions write here, as the owner of the table: whoever
-- changes a row of the app needs no privilege on it.
CREATE TABLE "{schema}"."{table}" (
    -- Version 7: the milliseconds, then what is random, with the two bits of the variant (RFC 9562). A sixth of what a change takes was to
    -- take its second half out of gen_random_uuid.
    id             uuid        NOT NULL DEFAULT ('0' || to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint * 65536 + 28672)
                                                 || to_hex((random() * 4611686018427387904)::bigint - 9223372036854775807))::uuid,
    -- Not the begin of the transaction: who waits for the lock of a row comes after whoever had it.
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id bigint      NOT NULL DEFAULT txid_current(),
    audit_id       uuid,
    operation      text        NOT NULL,
    table_schema   text        NOT NULL,
    table_name     text        NOT NULL,
    key            jsonb,
    old_key        jsonb,
    old            jsonb,
    new            jsonb,
    actor_type     text        NOT NULL,
    actor_id       text        NOT NULL,
    request_id     text,
    tenant_id      text,
    database_user  text        NOT NULL DEFAULT session_user,
    database_role  text,
    CONSTRAINT "{table}_pkey" PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);

-- Of the key its hash, because no index takes values of any length. That of a TRUNCATE is empty.
CREATE INDEX "idx_{table}_row" ON "{schema}"."{table}" (hashtextextended(table_name, jsonb_hash_extended(key, 0)), at);
CREATE INDEX "idx_{table}_old_row" ON "{schema}"."{table}" (hashtextextended(table_name, jsonb_hash_extended(old_key, 0)), at)
    WHERE old_key IS NOT NULL;
CREATE INDEX "idx_{table}_audit" ON "{schema}"."{table}" (audit_id) WHERE audit_id IS NOT NULL;
CREATE INDEX "idx_{table}_actor" ON "{schema}"."{table}" (actor_id, at);

-- Somebody else's write must not fail because nobody made a partition.
CREATE TABLE "{schema}"."{table}_default" PARTITION OF "{schema}"."{table}" DEFAULT;

CREATE FUNCTION "{schema}"."{table}_append_only"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'the rows of %.% are append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$function$;
CREATE TRIGGER "{table}_append_only" BEFORE UPDATE OR DELETE ON "{schema}"."{table}"
    FOR EACH ROW EXECUTE FUNCTION "{schema}"."{table}_append_only"();
CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{schema}"."{table}"
    FOR EACH STATEMENT EXECUTE FUNCTION "{schema}"."{table}_append_only"();
CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{schema}"."{table}_default"
    FOR EACH STATEMENT EXECUTE FUNCTION "{schema}"."{table}_append_only"();

-- Which tables are tracked, and how.
CREATE TABLE "{schema}"."{table}_tracked" (
    table_schema text        NOT NULL,
    table_name   text        NOT NULL,
    settings     jsonb       NOT NULL,
    -- The columns as they were then, in their order.
    columns      jsonb       NOT NULL,
    -- The columns that were recorded for a while, from when until when.
    former_columns jsonb     NOT NULL DEFAULT '[]',
    function     text        NOT NULL,
    -- The table itself, which keeps it when it is renamed. In a database that was restored it is another one.
    relation     oid         NOT NULL,
    -- What the table was called before it was renamed, from when until when.
    former_names jsonb       NOT NULL DEFAULT '[]',
    -- Since when it has this name.
    named_at     timestamptz NOT NULL,
    tracked_at   timestamptz NOT NULL DEFAULT now(),
    -- Since when nothing that happened to its rows is missing.
    begun_at     timestamptz NOT NULL,
    PRIMARY KEY (table_schema, table_name)
);

-- The keys of hashes, ready for use (RFC 2104: the key, padded, with the bytes 0x36 and 0x5c). Nobody but the owner may read them.
CREATE TABLE "{schema}"."{table}_keys" (
    id        text  PRIMARY KEY,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL
);

-- A value that is too long. Whoever reads a row as the history would record it needs it, too. It names what it calls: to set a path
-- would take longer than all else, also where it is not called.
CREATE FUNCTION "{schema}"."{table}_digest"(value bytea) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
AS $function$
BEGIN
    RETURN pg_catalog.jsonb_build_object(
        'tower_audit', pg_catalog.concat('sha256:', pg_catalog.encode(pg_catalog.sha256(value), 'hex')),
        'bytes', pg_catalog.octet_length(value));
END
$function$;

-- A text that is too long. Nobody's write must fail because there is no room for its bytes, or no other encoding of it.
CREATE FUNCTION "{schema}"."{table}_digest"(value text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
AS $function$
BEGIN
    RETURN "{schema}"."{table}_digest"(pg_catalog.convert_to(value, 'UTF8'));
EXCEPTION WHEN out_of_memory OR program_limit_exceeded OR internal_error OR character_not_in_repertoire OR untranslatable_character THEN
    RETURN '{"tower_audit": "unknown"}';
END
$function$;

-- A value that a keyed hash stands for.
CREATE FUNCTION "{schema}"."{table}_hashed"(key_id text, value text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE WHEN value IS NULL THEN NULL ELSE coalesce((
        SELECT jsonb_build_object('tower_audit', 'hmac-sha256:' || k.id || ':'
            || encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(value, 'UTF8'))), 'hex'))
        FROM "{schema}"."{table}_keys" AS k WHERE k.id = key_id), '{"tower_audit": "masked"}') END
$function$;

-- What a trigger does about a table whose columns are not those that its function was made for: it goes by the names that are known to mean
-- what they did. What has another name is hidden. Decimal numbers are written as text, as everywhere.
CREATE FUNCTION "{schema}"."{table}_untyped"(
    old_row jsonb, new_row jsonb, keys text[], known text[], ignored text[], masked text[], numbers text[], longest bigint,
    OUT o jsonb, OUT n jsonb, OUT k jsonb, OUT p jsonb
)
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    any_row jsonb := coalesce(new_row, old_row);
BEGIN
    SELECT jsonb_object_agg(c.name, CASE
            WHEN jsonb_typeof(old_row -> c.name) = 'null' THEN 'null'
            WHEN c.name = ANY (masked) THEN '{"tower_audit": "masked"}'
            WHEN c.name <> ALL (known) THEN '{"tower_audit": "unknown"}'
            WHEN pg_column_size(old_row -> c.name) > longest THEN '{"tower_audit": "unknown"}'
            WHEN c.name = ANY (numbers) THEN to_jsonb(old_row ->> c.name)
            ELSE old_row -> c.name END) FILTER (WHERE old_row IS NOT NULL),
        jsonb_object_agg(c.name, CASE
            WHEN jsonb_typeof(new_row -> c.name) = 'null' THEN 'null'
            WHEN c.name = ANY (masked) THEN '{"tower_audit": "masked"}'
            WHEN c.name <> ALL (known) THEN '{"tower_audit": "unknown"}'
            WHEN pg_column_size(new_row -> c.name) > longest THEN '{"tower_audit": "unknown"}'
            WHEN c.name = ANY (numbers) THEN to_jsonb(new_row ->> c.name)
            ELSE new_row -> c.name END) FILTER (WHERE new_row IS NOT NULL)
        INTO o, n
        FROM jsonb_object_keys(any_row) AS c (name)
        WHERE c.name <> ALL (ignored)
            AND (old_row IS NULL OR new_row IS NULL OR old_row -> c.name IS DISTINCT FROM new_row -> c.name);
    -- A key of which a part has another name now is none. A masked column may have got the name of one that belongs to it.
    IF cardinality(keys) > 0 AND any_row ?& keys AND keys <@ known THEN
        SELECT jsonb_object_agg(c.name, CASE
                WHEN c.name = ANY (masked) THEN '{"tower_audit": "masked"}'
                WHEN c.name = ANY (numbers) AND jsonb_typeof(any_row -> c.name) = 'number' THEN to_jsonb(trim_scale((any_row ->> c.name)::numeric)::text)
                ELSE any_row -> c.name END),
            jsonb_object_agg(c.name, CASE
                WHEN c.name = ANY (masked) THEN '{"tower_audit": "masked"}'
                WHEN c.name = ANY (numbers) AND jsonb_typeof(old_row -> c.name) = 'number' THEN to_jsonb(trim_scale((old_row ->> c.name)::numeric)::text)
                ELSE old_row -> c.name END)
            INTO k, p
            FROM unnest(keys) AS c (name);
        IF old_row IS NULL OR new_row IS NULL OR p = k THEN
            p := NULL;
        END IF;
    END IF;
END
$function$;

-- Whether a table has these columns and no others, as it is now. A transaction that sees the catalog as it was does not know.
CREATE FUNCTION "{schema}"."{table}_columns_are"(relation regclass, numbers smallint[], names text[], types oid[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') AND (
        SELECT array_agg(f.attnum ORDER BY f.attnum) = numbers AND array_agg(f.attname::text ORDER BY f.attnum) = names
            AND array_agg(f.atttypid ORDER BY f.attnum) = types
        FROM pg_catalog.pg_attribute AS f WHERE f.attrelid = relation AND f.attnum > 0 AND NOT f.attisdropped);
END
$function$;

-- The same, once for as long as the table stays as it is: what is immutable is asked when an expression is planned, and the plan of one in which a
-- table is named as a constant is made anew when that table is changed. Whoever writes to it holds it, so it is not changed in between. It asks
-- a volatile function, which sees what was committed until then and not only what its caller sees: COPY looks at the database before it waits for
-- the table.
CREATE FUNCTION "{schema}"."{table}_keeps_columns"(relation regclass, numbers smallint[], names text[], types oid[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN "{schema}"."{table}_columns_are"(relation, numbers, names, types) IS TRUE;
END
$function$;

REVOKE ALL ON FUNCTION "{schema}"."{table}_columns_are"(regclass, smallint[], text[], oid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION "{schema}"."{table}_keeps_columns"(regclass, smallint[], text[], oid[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION "{schema}"."{table}_hashed"(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION "{schema}"."{table}_untyped"(jsonb, jsonb, text[], text[], text[], text[], text[], bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION "{schema}"."{table}_append_only"() FROM PUBLIC;
