//! A database whose tables are tracked.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tower_audit_core::{
    PageSize,
    changes::{ChangeFilter, ChangeReader as _, Columns, RowChange, TableName},
};
use tower_audit_history::{AsOf, History, Track};

use crate::support::database::Postgres;

/// A database with a history.
pub(super) struct Tracked {
    pub(super) database: Postgres,
    pub(super) history: History,
}

impl Tracked {
    /// Returns a database in which these statements were run, and nothing is tracked yet.
    pub(super) async fn with(sql: &str) -> Self {
        Self::of(Postgres::fresh().await, sql).await
    }

    /// Returns the same in this database.
    pub(super) async fn of(database: Postgres, sql: &str) -> Self {
        let history = History::new(database.pool.clone());
        history.migrate().await.unwrap();
        let this = Self { database, history };
        this.run(sql).await;
        this
    }

    /// Tracks a table of the schema `public`.
    pub(super) async fn track(&self, table: &str, track: Track) {
        self.history.track(&name(table), track).await.unwrap();
    }

    /// Runs statements.
    pub(super) async fn run(&self, sql: &str) {
        let done = self.try_run(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(super) async fn try_run(&self, sql: &str) -> sqlx::Result<()> {
        let done = self.database.pool.execute(AssertSqlSafe(sql.to_owned()));
        done.await.map(drop)
    }

    /// Returns a connection of another session.
    pub(super) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    /// Returns all changes, the oldest first.
    pub(super) async fn changes(&self) -> Vec<RowChange> {
        let all = ChangeFilter::new();
        let page = self.history.changes(&all, None, PageSize::MAX).await;
        let mut changes = page.unwrap().changes;
        changes.reverse();
        changes
    }

    /// Returns what was done, the oldest first, without whom by.
    pub(super) async fn told(&self) -> Vec<Value> {
        self.changes().await.iter().map(told).collect()
    }

    /// Returns everything that the tables of the history hold, as text.
    pub(super) async fn everything(&self) -> String {
        let all =
            "SELECT coalesce(string_agg(r::text, ' '), '') FROM control_plane.row_changes AS r";
        sqlx::query_scalar(all)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// Makes sure that nothing is wrong.
    pub(super) async fn assert_well(&self) {
        assert_eq!(self.history.verify().await.unwrap(), []);
    }
}

/// Returns what the clock of the database says.
pub(super) async fn now(db: &Tracked) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&db.database.pool)
        .await
        .unwrap()
}

pub(super) fn name(table: &str) -> TableName {
    TableName::new("public", table)
}

/// Returns what was done to which row; what is not there is left out.
pub(super) fn told(change: &RowChange) -> Value {
    let mut told = Map::new();
    told.insert(change.operation.to_string(), json!(change.key));
    for (member, columns) in [
        ("old_key", &change.old_key),
        ("old", &change.old),
        ("new", &change.new),
    ] {
        if let Some(columns) = columns {
            told.insert(member.to_owned(), json!(columns));
        }
    }
    told.into()
}

/// Returns the columns of a JSON object.
pub(super) fn columns(value: Value) -> Columns {
    match value {
        Value::Object(columns) => columns,
        other => panic!("{other} has no columns"),
    }
}

/// Returns a database with a table of jobs that is tracked.
pub(super) async fn jobs() -> Tracked {
    let db = Tracked::with("CREATE TABLE jobs (id int PRIMARY KEY, name text, plan text)").await;
    db.track("jobs", Track::new()).await;
    db
}

/// Returns what a job was.
pub(super) async fn as_of(db: &Tracked, id: i32, time: DateTime<Utc>) -> AsOf {
    let key = columns(json!({"id": id}));
    db.history.as_of(&name("jobs"), &key, time).await.unwrap()
}

/// Returns the answer that the row was this.
pub(super) fn row(value: Value) -> AsOf {
    AsOf::Row(columns(value))
}
