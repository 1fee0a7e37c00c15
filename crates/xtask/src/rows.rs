//! A trail of any length, made inside of the database: who reads it should find what a trail looks like.
//!
//! One row in twenty seconds, over as many of them as there are rows. Most values are skewed as they are in life: few
//! actors do most of it. Some are rare on purpose, and have names that say so.

/// Returns the statement that adds the rows from number `first` on, up to but without `end`, to a Postgres table.
#[must_use]
pub fn postgres(table: &str, first: u64, end: u64) -> String {
    POSTGRES
        .replace("{table}", table)
        .replace("{first}", &first.to_string())
        .replace("{last}", &end.saturating_sub(1).to_string())
}

/// Returns the same for a SQLite table.
#[must_use]
pub fn sqlite(table: &str, first: u64, end: u64) -> String {
    SQLITE
        .replace("{table}", table)
        .replace("{first}", &first.to_string())
        .replace("{last}", &end.saturating_sub(1).to_string())
}

/// When the first row was, in seconds since 1970: 2020-01-01.
pub const FIRST_SECOND: u64 = 1_577_836_800;

/// How many seconds are between two rows.
pub const SECONDS_APART: u64 = 20;

/// Searches, one for each key and each form that has a way of its own, with values that are frequent, rare and nowhere in
/// the rows.
pub const SEARCHES: &[&str] = &[
    "",
    "created:2021-06-01",
    "created:2020-01-03",
    "id:00000000-0000-7000-8000-000000000000",
    "actor:user-7",
    "actor:rare-actor",
    "actor:nobody",
    "actor:user-7,user-8",
    "-actor:user-7",
    "kind:api_key",
    "name:\"Name 7\"",
    "auth:bearer",
    "credential:credential-7",
    "behalf:user-7",
    "action:project.update",
    "action:secret.purge",
    "action:project.*",
    "action:secret.p*",
    "target:7",
    "target:rare-target",
    "type:invoice",
    "outcome:denied",
    "outcome:unknown",
    "outcome:success",
    "-outcome:success",
    "reason:not_owner",
    "status:4xx",
    "status:500",
    "status:404",
    "method:DELETE",
    "route:/teams/{id}",
    "path:/teams/*",
    "path:/nowhere",
    "duration:>40ms",
    "request:nowhere",
    "trace:nowhere",
    "tenant:tenant-7",
    "tenant:rare-tenant",
    "ip:10.0.7.0/24",
    "ip:203.0.113.77",
    "peer:10.255.0.1",
    "agent:agent/7",
    "service:api@1.1",
    "meta.plan:pro",
    "meta.plan:rare-plan",
    "meta.region.name:eu",
    "meta:{\"plan\": \"pro\", \"seats\": 45}",
    "captured.query.page:2",
    "recorded:2020-01-03",
    "actor:user-7 outcome:denied",
    "actor:user-7 action:secret.*",
    "tenant:tenant-7 action:project.update -outcome:success",
    "tenant:rare-tenant outcome:denied",
    "tenant:nowhere",
    "action:project.update path:/nowhere",
];

const POSTGRES: &str = r"
INSERT INTO {table} (id, actor_id, actor_type, action, target_type, target_id, metadata, ip_address, user_agent,
    created_at, outcome, reason, status, method, route, path, duration_us, request_id, trace_id, tenant_id, actor_name,
    auth_method, credential_id, on_behalf_of, peer_address, service, captured, recorded_at)
SELECT
    (lpad(to_hex(ms), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
    CASE WHEN kind = 'user' THEN CASE WHEN n % 1000003 = 17 THEN 'rare-actor' ELSE 'user-' || floor(20000 * r1 ^ 3) END
         WHEN kind = 'api_key' THEN 'key-' || floor(200 * r1 ^ 2) ELSE kind END,
    kind,
    CASE WHEN n % 1000003 = 29 THEN 'secret.purge' ELSE resource || '.' || verb END,
    resource,
    CASE WHEN n % 1000003 = 31 THEN 'rare-target' WHEN r3 < 0.05 THEN '' ELSE floor(1000000 * r3 ^ 2)::text END,
    jsonb_build_object('plan', CASE WHEN n % 1000003 = 37 THEN 'rare-plan' WHEN r4 < 0.8 THEN 'free' ELSE 'pro' END,
        'seats', floor(50 * r4)::int, 'region', jsonb_build_object('name', CASE WHEN r5 < 0.5 THEN 'eu' ELSE 'us' END)),
    CASE WHEN n % 1000003 = 41 THEN '203.0.113.77'::inet ELSE '10.0.0.0'::inet + floor(50000 * r5)::bigint END,
    'agent/' || floor(30 * r2 ^ 2),
    created,
    outcome,
    CASE outcome WHEN 'denied' THEN 'not_owner' WHEN 'failure' THEN 'conflict' END,
    CASE outcome WHEN 'denied' THEN 403 WHEN 'failure' THEN CASE WHEN r6 > 0.99 THEN 500 ELSE 409 END ELSE 200 END,
    CASE verb WHEN 'create' THEN 'POST' WHEN 'read' THEN 'GET' WHEN 'delete' THEN 'DELETE' ELSE 'PATCH' END,
    '/' || resource || 's/{id}',
    '/' || resource || 's/' || floor(1000000 * r3 ^ 2),
    200 + floor(50000 * r6 ^ 4)::bigint,
    md5(hash),
    md5('t' || hash),
    CASE WHEN n % 100003 = 43 THEN 'rare-tenant' ELSE 'tenant-' || floor(500 * r2 ^ 3) END,
    CASE WHEN kind = 'user' THEN 'Name ' || floor(20000 * r1 ^ 3) END,
    CASE kind WHEN 'user' THEN 'oidc' WHEN 'api_key' THEN 'bearer' END,
    CASE WHEN kind = 'api_key' THEN 'credential-' || floor(200 * r1 ^ 2) END,
    CASE WHEN r1 > 0.995 THEN 'user-' || floor(20000 * r2) END,
    '10.255.0.1',
    'api@1.' || floor(n / 1000000),
    CASE WHEN r4 > 0.98 THEN jsonb_build_object('query', jsonb_build_object('page', '2')) END,
    created + interval '30 ms'
FROM (
    SELECT *,
        to_timestamp(1577836800 + n * 20) + floor(r1 * 1000000) * interval '1 microsecond' AS created,
        (1577836800 + n * 20) * 1000 + floor(r1 * 1000)::bigint AS ms,
        (ARRAY['project', 'user', 'api_key', 'secret', 'team', 'organization', 'invoice', 'report'])[1 + floor(8 * r3 * r4)::int] AS resource,
        (ARRAY['update', 'create', 'read', 'delete', 'archive'])[1 + floor(5 * r5 * r6)::int] AS verb,
        CASE WHEN r2 < 0.80 THEN 'user' WHEN r2 < 0.95 THEN 'api_key' WHEN r2 < 0.98 THEN 'system' ELSE 'anonymous' END AS kind,
        CASE WHEN r6 < 0.945 THEN 'success' WHEN r6 < 0.965 THEN 'denied' WHEN r6 < 0.995 THEN 'failure' WHEN r6 < 0.9999 THEN 'aborted' ELSE 'unknown' END AS outcome
    FROM (
        SELECT n, md5(n::text) AS hash,
            (hashint8extended(n, 1) & 2147483647) / 2147483648.0::float8 AS r1,
            (hashint8extended(n, 2) & 2147483647) / 2147483648.0::float8 AS r2,
            (hashint8extended(n, 3) & 2147483647) / 2147483648.0::float8 AS r3,
            (hashint8extended(n, 4) & 2147483647) / 2147483648.0::float8 AS r4,
            (hashint8extended(n, 5) & 2147483647) / 2147483648.0::float8 AS r5,
            (hashint8extended(n, 6) & 2147483647) / 2147483648.0::float8 AS r6
        FROM generate_series({first}::bigint, {last}::bigint) AS n
    ) AS random
) AS made";

const SQLITE: &str = r"
WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}),
random AS (
    SELECT n,
        ((n * 2654435761 + 1013904223) % 2147483647) / 2147483647.0 AS r1,
        ((n * 2246822519 + 1103515245) % 2147483629) / 2147483629.0 AS r2,
        ((n * 3266489917 + 374761393) % 2147483587) / 2147483587.0 AS r3,
        ((n * 668265263 + 2019487) % 2147483579) / 2147483579.0 AS r4,
        ((n * 374761393 + 9124133) % 2147483563) / 2147483563.0 AS r5,
        ((n * 1274126177 + 7719313) % 2147483549) / 2147483549.0 AS r6
    FROM numbers
),
made AS (
    SELECT *,
        (1577836800 + n * 20) * 1000000 + CAST(r1 * 1000000 AS INTEGER) AS created,
        CASE CAST(8 * r3 * r4 AS INTEGER) WHEN 0 THEN 'project' WHEN 1 THEN 'user' WHEN 2 THEN 'api_key' WHEN 3 THEN 'secret'
            WHEN 4 THEN 'team' WHEN 5 THEN 'organization' WHEN 6 THEN 'invoice' ELSE 'report' END AS resource,
        CASE CAST(5 * r5 * r6 AS INTEGER) WHEN 0 THEN 'update' WHEN 1 THEN 'create' WHEN 2 THEN 'read' WHEN 3 THEN 'delete'
            ELSE 'archive' END AS verb,
        CASE WHEN r2 < 0.80 THEN 'user' WHEN r2 < 0.95 THEN 'api_key' WHEN r2 < 0.98 THEN 'system' ELSE 'anonymous' END AS kind,
        CASE WHEN r6 < 0.945 THEN 'success' WHEN r6 < 0.965 THEN 'denied' WHEN r6 < 0.995 THEN 'failure'
            WHEN r6 < 0.9999 THEN 'aborted' ELSE 'unknown' END AS outcome
    FROM random
)
INSERT INTO {table} (id, actor_id, actor_type, action, target_type, target_id, metadata, ip_address, user_agent,
    created_at, outcome, reason, status, method, route, path, duration_us, request_id, trace_id, tenant_id, actor_name,
    auth_method, credential_id, on_behalf_of, peer_address, service, captured, recorded_at, write_order)
SELECT
    unhex(printf('%012x7%03x8%015x', created / 1000, n % 4096, n)),
    CASE WHEN kind = 'user' THEN CASE WHEN n % 100003 = 17 THEN 'rare-actor' ELSE 'user-' || CAST(20000 * r1 * r1 * r1 AS INTEGER) END
         WHEN kind = 'api_key' THEN 'key-' || CAST(200 * r1 * r1 AS INTEGER) ELSE kind END,
    kind,
    CASE WHEN n % 100003 = 29 THEN 'secret.purge' ELSE resource || '.' || verb END,
    resource,
    CASE WHEN n % 100003 = 31 THEN 'rare-target' WHEN r3 < 0.05 THEN '' ELSE CAST(CAST(1000000 * r3 * r3 AS INTEGER) AS TEXT) END,
    json_object('plan', CASE WHEN n % 100003 = 37 THEN 'rare-plan' WHEN r4 < 0.8 THEN 'free' ELSE 'pro' END,
        'seats', CAST(50 * r4 AS INTEGER), 'region', json_object('name', CASE WHEN r5 < 0.5 THEN 'eu' ELSE 'us' END)),
    CASE WHEN n % 100003 = 41 THEN '203.0.113.77' ELSE '10.0.' || CAST(195 * r5 AS INTEGER) || '.' || CAST(255 * r6 AS INTEGER) END,
    'agent/' || CAST(30 * r2 * r2 AS INTEGER),
    created,
    outcome,
    CASE outcome WHEN 'denied' THEN 'not_owner' WHEN 'failure' THEN 'conflict' END,
    CASE outcome WHEN 'denied' THEN 403 WHEN 'failure' THEN CASE WHEN r6 > 0.99 THEN 500 ELSE 409 END ELSE 200 END,
    CASE verb WHEN 'create' THEN 'POST' WHEN 'read' THEN 'GET' WHEN 'delete' THEN 'DELETE' ELSE 'PATCH' END,
    '/' || resource || 's/{id}',
    '/' || resource || 's/' || CAST(1000000 * r3 * r3 AS INTEGER),
    200 + CAST(50000 * r6 * r6 * r6 * r6 AS INTEGER),
    printf('%08x-%024x', CAST(r1 * 4294967295 AS INTEGER), n),
    printf('%08x%024x', CAST(r2 * 4294967295 AS INTEGER), n),
    CASE WHEN n % 10007 = 43 THEN 'rare-tenant' ELSE 'tenant-' || CAST(500 * r2 * r2 * r2 AS INTEGER) END,
    CASE WHEN kind = 'user' THEN 'Name ' || CAST(20000 * r1 * r1 * r1 AS INTEGER) END,
    CASE kind WHEN 'user' THEN 'oidc' WHEN 'api_key' THEN 'bearer' END,
    CASE WHEN kind = 'api_key' THEN 'credential-' || CAST(200 * r1 * r1 AS INTEGER) END,
    CASE WHEN r1 > 0.995 THEN 'user-' || CAST(20000 * r2 AS INTEGER) END,
    '10.255.0.1',
    'api@1.' || (n / 1000000),
    CASE WHEN r4 > 0.98 THEN json_object('query', json_object('page', '2')) END,
    created + 30000,
    n / 1000 + 1
FROM made WHERE true";
