CREATE INDEX IF NOT EXISTS "idx_{table}_actor_id" ON "{table}" (actor_id);
CREATE INDEX IF NOT EXISTS "idx_{table}_target_id" ON "{table}" (target_id);
CREATE INDEX IF NOT EXISTS "idx_{table}_request_id" ON "{table}" (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS "idx_{table}_ip_address" ON "{table}" (ip_address, created_at DESC) WHERE ip_address IS NOT NULL;
