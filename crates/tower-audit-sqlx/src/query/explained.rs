//! What a question does to the database: its statements, with the plans that the database has for them.

use std::sync::{Mutex, PoisonError};

use tower_audit_core::{
    AuditEvent, StoreError,
    search::{Field, Match, Term},
    store::TailPosition,
};

use super::{Edge, Extras, Group, Source, Sql};

/// A database that can say how it would answer.
pub(crate) trait Plans: Source {
    /// Returns the plan of a statement, as text.
    fn plan(&self, sql: Sql) -> impl Future<Output = Result<String, StoreError>> + Send;
}

/// A database that answers as it does, and notes each statement with its plan.
pub(crate) struct Explained<'a, S> {
    source: &'a S,
    plans: Mutex<Vec<String>>,
}

impl<'a, S: Plans> Explained<'a, S> {
    pub(crate) fn new(source: &'a S) -> Self {
        Self {
            source,
            plans: Mutex::default(),
        }
    }

    /// Returns the statements, each with its plan.
    pub(crate) fn into_plans(self) -> Vec<String> {
        self.plans
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, sql: &Sql) -> Result<(), StoreError> {
        let plan = self.source.plan(sql.clone()).await?;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.push(format!("{}\n{plan}", sql.text));
        Ok(())
    }
}

impl<S: Plans> Source for Explained<'_, S> {
    const CREATED_US: &'static str = S::CREATED_US;

    const UNINDEXED: &'static str = S::UNINDEXED;
    const FINDS_NETWORKS: bool = S::FINDS_NETWORKS;
    const ENDS_AT_POSITION: bool = S::ENDS_AT_POSITION;
    const WINDOWS: [i64; 2] = S::WINDOWS;
    const COUNTED: [i64; 2] = S::COUNTED;

    fn table(&self) -> &str {
        self.source.table()
    }

    fn columns(&self) -> &str {
        self.source.columns()
    }

    fn condition(sql: &mut Sql, term: &Term, wanted: &Match) {
        S::condition(sql, term, wanted);
    }

    fn stream(sql: &mut Sql, field: Field, exact: &str) {
        S::stream(sql, field, exact);
    }

    fn stream_order(sql: &mut Sql, field: Field, is_forward: bool) {
        S::stream_order(sql, field, is_forward);
    }

    fn as_text(sql: &mut Sql, field: Field) {
        S::as_text(sql, field);
    }

    async fn extras(&self) -> Result<Extras, StoreError> {
        self.source.extras().await
    }

    async fn events(&self, sql: Sql) -> Result<Vec<AuditEvent>, StoreError> {
        self.note(&sql).await?;
        self.source.events(sql).await
    }

    async fn edge(&self, sql: Sql) -> Result<Option<Edge>, StoreError> {
        self.note(&sql).await?;
        self.source.edge(sql).await
    }

    async fn groups(&self, sql: Sql) -> Result<Vec<Group>, StoreError> {
        self.note(&sql).await?;
        self.source.groups(sql).await
    }

    async fn expected(&self, sql: Sql) -> Result<Option<u64>, StoreError> {
        self.source.expected(sql).await
    }

    async fn guess(&self, sql: Sql, most: i64) -> Result<i64, StoreError> {
        self.note(&sql).await?;
        self.source.guess(sql, most).await
    }

    async fn unseen(
        &self,
        position: Option<&TailPosition>,
        most: i64,
    ) -> Result<(TailPosition, Vec<(AuditEvent, u64)>), StoreError> {
        self.source.unseen(position, most).await
    }
}
