//! Transactions that say on whose behalf they change rows.

use std::{
    fmt::{self, Write as _},
    ops::{Deref, DerefMut},
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tower_audit_core::{Auditor, changes::ChangeContext};

/// A transaction that says on whose behalf it changes rows: whatever it changes in a tracked table is recorded as the work of that actor, by
/// that request, and nothing that others do is.
///
/// It derefs to a connection: `&mut *tx` is what sqlx takes. A function that must not be called without a context takes a
/// `&mut AuditedTransaction`.
///
/// Dropping it rolls back, and leaves nothing in the connection that goes back to the pool: the context ends with the transaction.
///
/// ```no_run
/// use tower_audit_core::{Actor, changes::ChangeContext};
/// use tower_audit_history::AuditedTransaction;
///
/// # async fn example(pool: sqlx::PgPool) -> sqlx::Result<()> {
/// let context = ChangeContext::new(Actor::user("alice"));
/// let mut tx = AuditedTransaction::begin(&pool, context).await?;
/// sqlx::query("UPDATE jobs SET schedule = '@daily' WHERE id = 7").execute(&mut *tx).await?;
/// tx.commit().await?;
/// # Ok(()) }
/// ```
pub struct AuditedTransaction {
    tx: Transaction<'static, Postgres>,
}

impl AuditedTransaction {
    /// Begins a transaction with this context. It takes one round trip, as any transaction does.
    ///
    /// Dropping the future gives the connection back as it was.
    ///
    /// # Errors
    ///
    /// Returns what the pool or the database said.
    pub async fn begin(pool: &PgPool, context: impl Into<ChangeContext>) -> sqlx::Result<Self> {
        let begin = AssertSqlSafe(begin(&context.into()));
        let tx = pool.begin_with(begin).await?;
        Ok(Self { tx })
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// Returns what the database said. A connection that broke leaves open whether it was committed.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.tx.commit().await
    }

    /// Rolls back: neither the rows nor their history have changed.
    ///
    /// # Errors
    ///
    /// Returns what the database said; the transaction is over all the same.
    pub async fn rollback(self) -> sqlx::Result<()> {
        self.tx.rollback().await
    }
}

impl Deref for AuditedTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for AuditedTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl fmt::Debug for AuditedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditedTransaction").finish_non_exhaustive()
    }
}

/// Begins transactions that say on whose behalf they change rows.
///
/// In an axum handler the context is the request's: with tower-audit, `auditor.begin(&pool, &audit)` of the extractor
/// `audit: AuditContext`.
pub trait Begin {
    /// Begins a transaction with this context: see [`AuditedTransaction::begin`].
    ///
    /// # Errors
    ///
    /// Returns what the pool or the database said.
    fn begin(
        &self,
        pool: &PgPool,
        context: impl Into<ChangeContext> + Send,
    ) -> impl Future<Output = sqlx::Result<AuditedTransaction>> + Send;
}

impl Begin for Auditor {
    async fn begin(
        &self,
        pool: &PgPool,
        context: impl Into<ChangeContext> + Send,
    ) -> sqlx::Result<AuditedTransaction> {
        AuditedTransaction::begin(pool, context).await
    }
}

/// Returns the statements that begin. They go to the database together, as one message of the simple protocol, which has no parameters: of
/// the value only letters, digits and what JSON needs are written as they are, and all else as hexadecimal digits, so that nothing in it can
/// be SQL. What the session had set before is nobody's business in here.
fn begin(context: &ChangeContext) -> String {
    let event = context.event().map(|id| id.to_string());
    let members = [
        ("actor_type", Some(context.actor().kind().as_str())),
        ("actor_id", Some(context.actor().id())),
        ("request_id", context.request()),
        ("audit_id", event.as_deref()),
        ("tenant_id", context.tenant()),
    ];
    let known = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    let context = Value::Object(known.collect()).to_string();
    let mut sql = "BEGIN; SET LOCAL tower_audit.context = E'".to_owned();
    for byte in context.bytes() {
        if byte.is_ascii_alphanumeric() || br#"{}":,-_. "#.contains(&byte) {
            sql.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(sql, "\\x{byte:02x}");
        }
    }
    sql.push('\'');
    sql
}

#[cfg(test)]
mod tests {
    use tower_audit_core::Actor;

    use super::*;

    #[test]
    fn no_value_is_sql() {
        let context = ChangeContext::new(Actor::user("'); DROP TABLE jobs; --")).request_id("\\'");
        let sql = begin(&context);
        let value = sql
            .strip_prefix("BEGIN; SET LOCAL tower_audit.context = E'")
            .unwrap();
        let value = value.strip_suffix('\'').unwrap();
        assert!(
            value.contains(r"\x27\x29\x3b DROP TABLE jobs\x3b --"),
            "{sql}"
        );
        assert!(value.contains(r"\x5c\x5c\x27"), "{sql}");
        let is_harmless = |c: char| c.is_ascii() && !"';()".contains(c);
        assert!(value.chars().all(is_harmless), "{sql}");
    }
}
