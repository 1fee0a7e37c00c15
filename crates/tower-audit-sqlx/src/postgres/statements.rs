//! The statements of a store, with the name of its table in them.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use super::{partitions::Layout, reading::BEGIN};
use crate::{
    columns::WRITTEN,
    query::Extras,
    table::{Identifier, Indexes},
};

/// The statements, with the name of the table in them.
pub(super) struct Statements {
    pub(super) schema: Identifier,
    pub(super) table: Identifier,
    pub(super) indexes: Indexes,
    pub(super) layout: Layout,
    pub(super) insert: Arc<str>,
    pub(super) insert_new: Arc<str>,
    pub(super) restore: Arc<str>,
    pub(super) complete: Arc<str>,
    pub(super) reap: Arc<str>,
    /// The name of the table, quoted.
    pub(super) name: String,
    /// How a question begins.
    pub(super) begin: String,
    /// Which indexes there are, once somebody asked.
    pub(super) extras: OnceLock<Extras>,
    pub(super) check: Arc<str>,
    pub(super) may_complete: Arc<str>,
    /// The user was seen to have the privileges to complete pending rows.
    pub(super) has_completed: AtomicBool,
}

impl Statements {
    pub(super) fn new(
        schema: Identifier,
        table: Identifier,
        (indexes, layout): (Indexes, Layout),
        query_timeout: Duration,
    ) -> Self {
        let name = format!(r#""{}"."{}""#, schema.as_str(), table.as_str());
        let rows = rows();
        Self {
            insert: format!("INSERT INTO {name} ({WRITTEN}) {rows} ON CONFLICT DO NOTHING").into(),
            insert_new: format!("INSERT INTO {name} ({WRITTEN}) {rows}").into(),
            restore: format!(
                "INSERT INTO {name} ({WRITTEN}, recorded_at) {} ON CONFLICT DO NOTHING",
                recorded_rows()
            )
            .into(),
            complete: format!(
                "UPDATE {name} AS was {COMPLETE} FROM ({rows}) AS new {WHERE_PENDING}"
            )
            .into(),
            reap: REAP.replace("{name}", &name).into(),
            check: CHECK.replace("{name}", &name).into(),
            may_complete: format!(
                "SELECT has_column_privilege('{name}', 'actor_id', 'SELECT') AND has_column_privilege('{name}', 'outcome', 'UPDATE')"
            )
            .into(),
            has_completed: AtomicBool::new(false),
            begin: BEGIN.replace("{timeout}", &query_timeout.as_millis().to_string()),
            extras: OnceLock::new(),
            name,
            schema,
            table,
            indexes,
            layout,
        }
    }
}

/// Returns one statement text for any number of rows. The arrays all have the same length: a shorter one
/// would be padded with NULL, silently.
fn rows() -> String {
    let selected = selected();
    format!("SELECT {selected} FROM UNNEST({ARRAYS}) AS rows ({WRITTEN})")
}

/// Returns the same for rows that say when they were recorded.
fn recorded_rows() -> String {
    let selected = selected();
    format!(
        "SELECT {selected}, coalesce(recorded_at, now()) FROM UNNEST({ARRAYS}, $28::timestamptz[]) AS rows ({WRITTEN}, recorded_at)"
    )
}

/// Returns the columns, of which two come as text.
fn selected() -> String {
    let selected = WRITTEN.replace("metadata", "metadata::jsonb");
    selected.replace("captured", "captured::jsonb")
}

/// The columns, in the order of [`WRITTEN`].
const ARRAYS: &str = "$1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::inet[], \
     $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::int2[], $14::text[], $15::text[], $16::text[], \
     $17::int8[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], \
     $25::inet[], $26::text[], $27::text[]";

/// What the end of a request may change of its pending row. The rest was known when it arrived, and so
/// was an actor who was not anonymous.
///
/// These are the columns that it may change, and what a user who may complete pending rows needs UPDATE on.
pub(super) const COMPLETED: &str = "action, target_type, target_id, metadata, outcome, reason, status, route, duration_us, \
     request_id, tenant_id, captured, actor_type, actor_id, actor_name, auth_method, credential_id, on_behalf_of";

const COMPLETE: &str = "SET action = new.action, target_type = new.target_type, target_id = new.target_id, \
     metadata = new.metadata, outcome = new.outcome, reason = new.reason, status = new.status, \
     route = new.route, duration_us = new.duration_us, request_id = new.request_id, tenant_id = new.tenant_id, \
     captured = new.captured, \
     (actor_type, actor_id, actor_name, auth_method, credential_id, on_behalf_of) = (SELECT \
         actor.kind, actor.id, actor.name, actor.method, actor.credential, actor.principal \
         FROM (VALUES \
             (false, was.actor_type, was.actor_id, was.actor_name, was.auth_method, was.credential_id, was.on_behalf_of), \
             (true, new.actor_type, new.actor_id, new.actor_name, new.auth_method, new.credential_id, new.on_behalf_of) \
         ) AS actor (is_new, kind, id, name, method, credential, principal) \
         WHERE actor.is_new = (was.actor_type = 'anonymous' OR (was.actor_type, was.actor_id) = (new.actor_type, new.actor_id)))";

/// Whether events can be inserted, and the end of the last partition.
const CHECK: &str = "SELECT has_column_privilege('{name}', 'id', 'INSERT'), \
     (SELECT max((regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), $re$TO \\('([^']+)'\\)$re$))[1]::timestamptz) \
         FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid \
         WHERE i.inhparent = '{name}'::regclass)";

/// What really happened takes the place of a row that was given up, too.
const WHERE_PENDING: &str = "WHERE was.id = new.id AND new.outcome NOT IN ('pending', 'unknown') \
     AND (was.outcome = 'pending' OR (was.outcome = 'unknown' AND was.reason = 'never_completed'))";

/// One replica at a time is enough: the lock ends with the statement. The rows that somebody is just
/// completing are left to them.
const REAP: &str = "WITH leader AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended('{name}', 0)) AS is_us), \
     old AS (SELECT id, created_at FROM {name} WHERE outcome = 'pending' AND created_at < $1 AND (SELECT is_us FROM leader) \
         ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED) \
     UPDATE {name} AS was SET outcome = 'unknown', reason = 'never_completed' \
     FROM old WHERE was.id = old.id AND was.created_at = old.created_at";
