CREATE INDEX IF NOT EXISTS "idx_{table}_actor_id" ON "{schema}"."{table}" (actor_id);
CREATE INDEX IF NOT EXISTS "idx_{table}_target_id" ON "{schema}"."{table}" (target_id);
CREATE INDEX IF NOT EXISTS "idx_{table}_request_id" ON "{schema}"."{table}" (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS "idx_{table}_metadata" ON "{schema}"."{table}" USING gin (metadata jsonb_path_ops);
CREATE INDEX IF NOT EXISTS "idx_{table}_ip_address" ON "{schema}"."{table}" (ip_address, created_at DESC) WHERE ip_address IS NOT NULL;
