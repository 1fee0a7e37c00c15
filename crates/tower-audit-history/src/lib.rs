//! Change history for [tower-audit](https://docs.rs/tower-audit): which rows of the app's own tables each request changed in Postgres,
//! from what to what.
//!
//! The audit trail says that alice updated a job. The history says that `jobs.schedule` went from A to B, by the same request; and it knows
//! of the bulk update and of the psql session that never passed the app.
//!
//! ```no_run
//! use serde_json::json;
//! use tower_audit_core::{
//!     Actor, PageSize,
//!     changes::{ChangeContext, ChangeFilter, ChangeReader},
//! };
//! use tower_audit_history::{AuditedTransaction, History, Track};
//!
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let history = History::new(pool.clone());
//! history.migrate().await?; // safe to call from every replica at once
//! let jobs = "public.jobs".parse()?;
//! history.track(&jobs, Track::new().ignore(["updated_at"]).mask(["api_token"])).await?;
//!
//! // In a handler: `auditor.begin(&pool, &audit)`, and the context is that of the request.
//! let mut tx = AuditedTransaction::begin(&pool, ChangeContext::new(Actor::user("alice"))).await?;
//! sqlx::query("UPDATE jobs SET schedule = '@daily' WHERE id = 7").execute(&mut *tx).await?;
//! tx.commit().await?;
//!
//! let of_row = ChangeFilter::new().row(jobs, json!({"id": 7}));
//! for change in history.changes(&of_row, None, PageSize::default()).await?.changes {
//!     for field in change.fields() {
//!         println!("{} {}: {:?} -> {:?}", change.actor.id(), field.column, field.old, field.new);
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! - [`History`]: [`track`](History::track), [`verify`](History::verify) and [`status`](History::status);
//!   [`changes`](tower_audit_core::changes::ChangeReader::changes), [`as_of`](History::as_of), [`revert`](History::revert),
//!   [`baseline`](History::baseline); [`create_partitions`](History::create_partitions) and [`drop_before`](History::drop_before).
//! - [`Track`]: what of a table is recorded, what is masked, and what becomes of a change without a context.
//! - [`AuditedTransaction`] and [`Begin`]: on whose behalf rows are changed.
//! - [`Finding`]: what [`verify`](History::verify) may find, for the start of a service and for its tests.
//! - `AuditWeb::changes` of `tower-audit-web` shows the changes beside their event; `tower-audit history` is the command.
//!
//! # The table
//!
//! `control_plane.row_changes`, with a partition for each month: `id`, `at`, `operation`, `table_schema` and `table_name`, `key` (and `old_key`
//! if the key changed), `old` and `new` as JSON, `actor_type`, `actor_id`, `request_id`, `audit_id`, `tenant_id`, `transaction_id`,
//! `database_user` and `database_role`. Of an update `old` and `new` have the columns that changed; an insert has all in `new`, a delete all in
//! `old`. A TRUNCATE has the key `{}`, and if it was one of a partition, `{"partition": "public.jobs_2026_11"}` in `old`.
//!
//! ```sql
//! SELECT at, actor_id, operation, key, old, new FROM control_plane.row_changes WHERE audit_id = '...' ORDER BY at;
//! ```
//!
//! | a value of | is written as |
//! |---|---|
//! | most types | what `to_jsonb` makes of it |
//! | `numeric`, `json`, `xml`, enums, domains, composite types, types of extensions, and arrays of them | its text, so that not a digit nor a space is lost |
//! | `numeric` in a key | its text without zeros at the end: 1.50 is `"1.5"` |
//! | an array that does not begin at 1 | as one that does: [`revert`](History::revert) gives it other bounds |
//! | a masked column | `{"tower_audit": "masked"}`, or `{"tower_audit": "hmac-sha256:<id>:<hash>"}` |
//! | more than [`longest_value`](Track::longest_value) bytes | `{"tower_audit": "sha256:<hash>", "bytes": <length>}` |
//! | a column that was added or renamed since, and a value too long for any text of it | `{"tower_audit": "unknown"}` |
//!
//! A value of `jsonb` that no reader takes as it is, with more digits than a float has or hundreds of brackets, is read as its text.
//!
//! # The context by hand
//!
//! A transaction says on whose behalf it works by a setting, which ends with it. What is not Rust, and psql, can do that, too:
//!
//! ```sql
//! BEGIN;
//! SET LOCAL tower_audit.context = '{"actor_type": "user", "actor_id": "alice", "request_id": "ticket 4711"}';
//! UPDATE jobs SET schedule = '@daily' WHERE id = 7;
//! COMMIT;
//! ```
//!
//! Its members are `actor_type` (`user`, `system`, `api_key` or `anonymous`), `actor_id`, `request_id`, `audit_id` (the id of an event, a UUID)
//! and `tenant_id`. A context that is no JSON, an `audit_id` that is no UUID, and an `actor_id` of more than about 2,600 bytes, which no index
//! takes, fail the writes of whoever sets them.
//!
//! # Guarantees
//!
//! - A change and its record are committed together, or neither is. A change is recorded whoever makes it: the app, psql, COPY, MERGE, a
//!   foreign key that takes rows along.
//! - A masked value is nowhere in the history: not in `old`, `new` nor `key`, not in columns that are generated from it, and not after whichever
//!   migration gave its column another name and its name to another column. For what no trigger can see, see [below](#what-it-does-not-do).
//! - The context of a transaction ends with it. No change is credited to another request's actor, however the transactions are mixed,
//!   cancelled and rolled back over a pool.
//! - A migration of the app never makes its writes fail because of the history: a column that was renamed, added, dropped or has another
//!   type is recorded by its name, hidden, and [found](History::verify).
//! - The write of the app never fails because nobody made a partition: there is one for everything else.
//! - Whoever changes rows needs no privilege on the history, and gets none: they cannot read, change or invent it. It is append-only,
//!   but for its owner, who drops months.
//! - `pg_dump` and restore keep it working.
//!
//! # What it costs
//!
//! See `BENCHMARKS.md` of [tower-audit](https://docs.rs/tower-audit): `cargo xtask bench` measures it beside no trigger and beside a generic
//! one that compares whole rows as JSON.
//!
//! # Privileges
//!
//! [`History::migrate`] and [`History::track`] are for whoever migrates: the owner of the tables, or, with
//! [`HistoryBuilder::owner`], a member of a role that owns the history alone, which is what to do where the app owns its tables: a member
//! who may make the schema (`CREATE` on the database), and who owns the tables that are tracked or has `TRIGGER` on them. The role itself needs
//! nothing but to be there. Who reads needs `USAGE` on the schema and `SELECT` on `row_changes` and `row_changes_tracked`; for `as_of` also
//! on the table; the app needs nothing.
//!
//! # What it does not do
//!
//! - It records no reads, and no rows of a TRUNCATE: that it happened is all there is.
//! - A session that has turned triggers off (`session_replication_role = replica`, which takes a superuser, and the apply worker of
//!   logical replication) leaves no record, and neither does who owns the table and disables the triggers: [`verify`](History::verify) finds
//!   the latter.
//! - A child by INHERITS is a table of its own, of which neither a baseline nor a revert of its parent knows: track it, too. Triggers for statements of
//!   a parent tell of the rows of its children as if they were its own: take triggers for rows.
//! - [`as_of`](History::as_of), [`baseline`](History::baseline) and [`revert`](History::revert) read or write the app's table as any query of whoever asks
//!   does: what the owner of the table has made of it runs with the rights of whoever asks, such as its triggers and foreign keys, the functions of
//!   its indexes, or another table that is put in its place at that moment. Ask as a role that may do no more than that owner, and not as a
//!   superuser, where you do not trust them. The triggers, which run as the owner of the history, run nothing of theirs.
//! - [`as_of`](History::as_of) takes values for keys as they are spelled: of a `citext` key that was spelled another way then, of an enum value
//!   that has another name now, and of a key that a trigger of the app moved, it may tell the wrong row or none. Nor can it see that a
//!   migration computed values anew (`ALTER TYPE ... USING` of the same type), or wrote while it had disabled the triggers and enabled them again.
//! - PostgreSQL 15 gives a trigger for statements wrong rows of a MERGE that both updates and inserts rows of a partitioned table: a row that it
//!   inserted stands where one that it updated should. What is recorded with [`Triggers::Statement`] is wrong then; triggers for rows are not concerned.
//! - [`baseline`](History::baseline) needs a key that no two rows can share; without one a [revert](History::revert) may be refused, and
//!   [`as_of`](History::as_of) tells of any of them.
//! - Who owns a tracked table, and may use the schema of the history, can let its function record for another table of theirs what they could
//!   have recorded by changing the tracked one. With `exit_on_error` a session ends where a table was changed and not tracked again.
//! - The database believes what the app says of its context. `database_user` is what nobody can claim.
//! - Masks are for what comes: what was recorded before stays as it is.
//! - JSON's `null` in a column of type `jsonb` looks like NULL.
//! - Track a table in the migration that changes its columns: until then what was added or renamed is hidden, and of a partition that has its
//!   columns in another order than the table what was added may be missing. Where something is masked, columns are known by what they are and not by
//!   their names; but not what a generated one is made of, if a migration gives it another expression, or one that is the same as the masked column takes
//!   the place of one that is dropped; nor what a partition computes from a masked column that was attached since. [`verify`](History::verify) finds all of it. A transaction that is `REPEATABLE READ` or stricter records
//!   of a table whose columns were changed that rows changed, and nothing of them, because it may see the catalog as it was.
//! - Where a transaction swaps keys among rows, and where triggers of the app changed a row before the statement or the insert was recorded
//!   that they belong to, [`as_of`](History::as_of) says that it does not know. It believes that nobody dropped, detached or attached a
//!   partition with rows: what goes or comes with one leaves no record.
//! - A migration that renames columns, gives them other types or changes the key lets the history of the table begin anew for `as_of` and
//!   [`revert`](History::revert): [`baseline`](History::baseline) tells what the rows were then. What was recorded before can still be read.
//! - Of a table with types of its own (enums, domains, composite types) whose columns were changed since, it is recorded that rows changed, and nothing
//!   of them, until it is tracked again.

mod baseline;
mod error;
mod history;
mod mask_key;
mod migrate;
mod names;
mod partitions;
mod read;
mod revert;
mod track;
mod transaction;

pub use error::HistoryError;
pub use history::{History, HistoryBuilder};
pub use mask_key::{MaskKey, MaskKeyError};
pub use names::IdentifierError;
pub use partitions::{Dropped, HistoryPartition};
pub use read::AsOf;
pub use revert::Revert;
pub use track::{Finding, Track, TrackedTable, Triggers, WithoutContext};
pub use transaction::{AuditedTransaction, Begin};
